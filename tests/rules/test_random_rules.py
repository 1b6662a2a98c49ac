"""Random synthetic rules: they end, their traces are true, and they have something to teach."""

import builtins
import itertools
import keyword
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from statistics import mean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.rules import STYLES, Rule, false_lines
from megatron_rfft.rules import random_snippets as snippets
from megatron_rfft.rules.random_rules import LARGEST_ITEMS, random_arguments, random_rule, random_source
from megatron_rfft.tasks.registry import list_tasks

LENGTHS = (2, 5, 10, 15, 30)
NUM_RULES = 120
integers = st.lists(st.one_of(st.integers(-9, 30), st.integers(-(10**12), 10**12)), max_size=12)
seeds = st.integers(0, 2**64)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seeds, integers, integers)
def test_a_rule_ends_on_any_lists_with_a_true_trace(seed, first, second):
    rule = random_rule(Random(seed))
    assert rule.source == random_source(Random(seed))  # canonical as it is drawn
    plain = rule.run(first, second)
    assert isinstance(plain, int | list | tuple)
    for style in STYLES:
        trace = rule.trace(first, second, style=style)
        assert repr(trace.answer) == repr(plain)
        assert trace.num_steps <= max(0, len(first) + len(second) - 1)
        assert false_lines(rule, trace.text, style, (first, second)) == []


def test_no_small_lists_break_a_rule():
    """Every pair of lengths up to 3, where a pop or an index that isn't guarded would fail; Python says the same."""
    for seed in range(400):
        rule = random_rule(Random(seed))
        namespace = {}
        exec(rule.source, namespace)
        rng = Random(seed)
        for sizes in itertools.product(range(4), repeat=2):
            lists = [[rng.randint(-5, 30) for _ in range(size)] for size in sizes]
            assert rule.run(*lists) == namespace[rule.name](*(list(values) for values in lists))


def test_names():
    pools = [snippets.LISTS, snippets.ITEMS, snippets.SUMS, snippets.KEPT, snippets.FUNCTIONS]
    names = [name for pool in pools for name in pool]
    assert len(set(names)) == len(names)
    assert not [name for name in names if keyword.iskeyword(name) or keyword.issoftkeyword(name)]
    assert not set(names) & {*dir(builtins), *list_tasks()}


def test_a_rule_is_a_function_of_the_seed_alone():
    expected = [random_source(Random(seed)) for seed in range(30)] + [str(random_arguments(Random(1), 9))]
    script = (
        "from random import Random\n"
        "from megatron_rfft.rules.random_rules import random_arguments, random_rule\n"
        "print(*(random_rule(Random(seed)).source for seed in range(30)), random_arguments(Random(1), 9), sep='\\n')"
    )
    for hash_seed in ("0", "12345"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == "\n".join(expected) + "\n"


def test_rules_differ():
    sources = [random_source(Random(seed)) for seed in range(3000)]
    assert len(set(map(_shape, sources))) > 2990  # whatever their names and constants
    bodies = [source.split("while ")[1] for source in sources]
    assert mean("if " in body for body in bodies) > 0.8
    for operation in ("append(", "insert(", "reverse()", "[::-1]", "[1:]", "% 2 ==", "elif", "else:", "+= "):
        assert mean(operation in body for body in bodies) > 0.03, operation
    sizes = [sum(line.strip() != "else:" for line in body.split("\n")[1:-1]) for body in bodies]
    assert 7.5 < mean(sizes) < 9.5
    assert min(sizes) >= 4
    assert max(sizes) <= 16


@pytest.mark.parametrize("length", [1, 2, 15, 30])
def test_arguments(length):
    for seed in range(50):
        lists = random_arguments(Random(seed), length)
        sizes = sorted(map(len, lists))
        assert sizes[1] == length
        assert sizes[0] >= length / 2
        assert all(0 <= item <= max(LARGEST_ITEMS) for items in lists for item in items)


@pytest.fixture(scope="module")
def measured() -> list[tuple[Rule, dict[int, list]]]:
    """Rules with four traces of each length."""
    found = []
    for seed in range(NUM_RULES):
        rule, rng = random_rule(Random(seed)), Random(f"arguments {seed}")
        traces = {length: [rule.trace(*random_arguments(rng, length)) for _ in range(4)] for length in LENGTHS}
        found.append((rule, traces))
    return found


def test_traces_are_neither_trivial_nor_long(measured):
    passes, sizes = {}, {}
    for length in LENGTHS:
        traces = [trace for _, by_length in measured for trace in by_length[length]]
        passes[length] = sorted(trace.num_steps for trace in traces)
        sizes[length] = sorted(len(trace.text) for trace in traces)
        assert passes[length][-1] <= length
    assert median(passes[5]) >= 2
    assert median(passes[10]) >= 3
    assert median(passes[15]) >= 4
    assert median(passes[30]) >= 7
    assert mean(number == 1 for number in passes[10]) < 0.05
    assert mean(number == 1 for number in passes[15]) < 0.02
    assert 2500 < median(sizes[15]) < 5000
    assert mean(size > 8000 for size in sizes[15]) < 0.03
    assert sizes[15][-1] < 12_000


def test_answers_depend_on_the_lists(measured):
    num_answers = [
        len({repr(trace.answer) for length in LENGTHS[1:] for trace in by_length[length]}) for _, by_length in measured
    ]
    assert mean(number == 1 for number in num_answers) < 0.02
    assert mean(number < 8 for number in num_answers) < 0.05  # of 16


def test_most_statements_are_executed(measured):
    shares = []
    for rule, by_length in measured:
        lines = {line.strip() for line in rule.source.split("\n")[1:]} - {"else:"}
        recited = set(by_length[15][0].text.split("\n"))
        shares.append(len(lines & recited) / len(lines))
    assert mean(shares) > 0.93
    assert min(shares) > 0.4


def test_numbers_stay_small(measured):
    numbers = (
        int(number)
        for _, by_length in measured
        for traces in by_length.values()
        for trace in traces
        for number in re.findall(r"\d+", trace.text)
    )
    assert max(numbers) < 10_000


def _shape(source: str) -> str:
    """The source with its names numbered and its constants left out."""
    kept = {
        "def",
        "while",
        "and",
        "or",
        "not",
        "in",
        "if",
        "elif",
        "else",
        "return",
        "break",
        "len",
        "abs",
        "max",
        "min",
    }
    kept |= {"pop", "append", "insert", "reverse"}
    numbers: dict[str, str] = {}

    def renamed(match: re.Match) -> str:
        word = match.group()
        if word.isdigit():
            return "#"
        return word if word in kept else numbers.setdefault(word, f"v{len(numbers)}")

    return re.sub(r"\w+", renamed, source)
