"""No held-out task is a training task's rule under other names, whole or as a part of it."""

import ast
import io
import tokenize
from difflib import SequenceMatcher
from itertools import product

import pytest

from megatron_rfft.rules.subset import BUILTINS
from megatron_rfft.tasks import list_tasks, load_task
from megatron_rfft.tasks.held_out import CROSS_DOMAIN
from tests.conftest import ROOT

MOST_ALIKE = 0.75  # of whole rules; what training and held-out rules must share (`while xs:`, `return xs`) gives 0.6
MOST_CONTAINED = 0.7  # of a held-out rule's lines, in their order
COUNTER = "length_int"  # its rule only counts passes, and so it is a part of every rule that counts


def variables(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)} - set(BUILTINS)


def tokens(line: str) -> list[str]:
    found = tokenize.generate_tokens(io.StringIO(line.strip()).readline)
    return [token.string for token in found if token.string.strip()]


def numbered(found: list[str], names: set[str]) -> tuple[str, ...]:
    """Variables as numbers, in the order in which they come."""
    numbers: dict[str, str] = {}
    return tuple(numbers.setdefault(token, f"<{len(numbers)}>") if token in names else token for token in found)


def whole(source: str) -> tuple[str, ...]:
    lines = source.split("\n")[1:]
    return numbered([token for line in lines for token in tokens(line)], variables(source))


def lines(source: str) -> list[tuple[str, ...]]:
    names = variables(source)
    return [numbered(tokens(line), names) for line in source.split("\n")[1:]]


def alike(one: str, other: str) -> float:
    """How much of both rules is the same text under numbered names, from 0 to 1."""
    return SequenceMatcher(None, whole(one), whole(other), autojunk=False).ratio()


def contained(inner: str, outer: str) -> float:
    """How much of ``inner``, in tokens of whole lines, comes in ``outer`` in the same order."""
    rows, columns = lines(inner), lines(outer)
    best = [[0] * (len(columns) + 1) for _ in range(len(rows) + 1)]
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j], best[i][j] + len(row) * (row == column))
    return best[-1][-1] / sum(map(len, rows))


@pytest.mark.parametrize("held_out", [*list_tasks(role="held-out"), *CROSS_DOMAIN])
def test_no_training_rule_is_a_held_out_one(held_out):
    rule = load_task(held_out).rule.source
    training = {name: load_task(name).rule.source for name in list_tasks(role="pretrain")}
    assert len(training) == 74
    assert {name: alike(rule, other) for name, other in training.items() if alike(rule, other) > MOST_ALIKE} == {}
    if held_out != COUNTER:
        inside = {name: contained(rule, other) for name, other in training.items()}
        assert {name: share for name, share in inside.items() if share > MOST_CONTAINED} == {}


def test_the_two_held_out_sets_have_no_rule_in_common():
    rules = {name: load_task(name).rule.source for name in (*list_tasks(role="held-out"), *CROSS_DOMAIN)}
    pairs = {
        (one, other): alike(rules[one], rules[other])
        for one, other in product(list_tasks(role="held-out"), CROSS_DOMAIN)
        if alike(rules[one], rules[other]) > MOST_ALIKE
    }
    assert pairs == {}


def test_no_rule_of_the_quickstart_is_one_of_its_targets():
    files = sorted((ROOT / "examples/quickstart/rules").glob("*.py"))
    trees = {file.stem: ast.parse(file.read_text()) for file in files}
    rules = {
        name: ast.unparse(node)
        for name, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == name
    }
    assert len(rules) == len(files) > 20
    assert max(alike(load_task("length_int").rule.source, rule) for rule in rules.values()) < 0.8
    position = load_task("get_digit_int").rule.source
    assert max(alike(position, rule) for rule in rules.values()) < MOST_ALIKE
    assert max(contained(position, rule) for rule in rules.values()) < MOST_CONTAINED


def test_a_copy_under_other_names_is_noticed():
    rule = load_task("move_zeroes").rule.source
    copy = rule.replace("nums", "entries").replace("num_zeroes", "k").replace("result", "xs")
    assert alike(rule, copy) == contained(rule, copy) == 1
    doubled = copy.replace(
        "        if num == 0:", "        if entries and entries[0] == num:\n            num *= 2\n        if num == 0:"
    )
    assert doubled != copy
    assert alike(rule, doubled) > MOST_ALIKE
    assert contained(rule, doubled) == 1
    assert alike(rule, load_task("coin_flip").rule.source) < 0.6
