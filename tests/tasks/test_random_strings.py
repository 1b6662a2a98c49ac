"""Random rules over strings: true traces, something to learn in each, and no held-out task among them."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import STYLES, Rule, RuleError, false_lines
from megatron_rfft.tasks import FORMS, NEAR_TWINS, SPLITS, STYLE_OF_FORM, load_task
from megatron_rfft.tasks.held_out import CROSS_DOMAIN, HELD_OUT
from megatron_rfft.tasks.instances import generator
from tests.tasks.canonical import canonical
from tests.tasks.oracle import disagreements

TASK = load_task("random_strings")
KEPT_APART = [Rule(load_task(name).rule.source, 500) for name in (*HELD_OUT, *CROSS_DOMAIN, *NEAR_TWINS)]


def drawn(index: int, length: int = 8, task=TASK, split: str = "train"):
    return task.draw(split, length, index)[0]


def test_traces_equal_the_interpreter_s():
    """Text for text what ``Rule`` writes for the rule under its names, in every style."""
    for index in range(60):
        problem = drawn(index, 1 + index % 12)
        rule = Rule(problem.rule.source)
        assert rule.source == problem.rule.source
        assert rule.sentences == problem.rule.sentences
        assert repr(rule.run(*problem.arguments)) == repr(problem.rule.run(*problem.arguments))
        for style in STYLES:
            assert rule.trace(*problem.arguments, style=style) == problem.rule.trace(*problem.arguments, style=style)


@pytest.mark.slow
def test_thousands_of_traces_equal_the_interpreter_s():
    for index in range(5000):
        problem = drawn(index, 1 + index % 30)
        rule = Rule(problem.rule.source)
        for style in ("full", "lean"):
            assert rule.trace(*problem.arguments, style=style) == problem.rule.trace(*problem.arguments, style=style)


@pytest.mark.parametrize("length", [1, 2, 7, 60])
def test_the_oracles_find_nothing_false(length):
    for index in range(8):
        problem = drawn(index, length)
        for style in STYLES:
            text = problem.rule.trace(*problem.arguments, style=style).text
            assert false_lines(problem.rule, text, style, problem.arguments) == []
        full = problem.rule.trace(*problem.arguments).text
        assert disagreements(Rule(problem.rule.source), problem.arguments, full) == []


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form):
    for index in range(10):
        example = TASK.example(6, "test", index, form)
        assert example == TASK.example(6, "test", index, form)
        assert TASK.check(example.response, example.answer)
        assert example.prompt.isascii()
        assert example.response.isascii()
        if form in STYLE_OF_FORM:
            assert (
                false_lines(
                    drawn(index, 6, split="test").rule, example.response, STYLE_OF_FORM[form], example.arguments
                )
                == []
            )


def test_answers_depend_on_the_characters():
    """With other characters of the same lengths the answer mostly is another one."""
    changed = 0
    for index in range(150):
        problem, rng = drawn(index), Random(index)
        answers = {repr(problem.rule.run(*problem.arguments))}
        for _ in range(6):
            other = [
                "".join(rng.sample(value, len(value))) if isinstance(value, str) else value
                for value in problem.arguments
            ]
            answers.add(repr(problem.rule.run(*other)))
        changed += len(answers) > 1
    assert changed > 100


def test_counters_reach_every_value_up_to_the_length():
    shown = Counter()
    for index in range(800):
        problem = drawn(index, 16, load_task("random_strings+digits"))
        text = problem.rule.trace(*problem.arguments, style="lean").text
        shown.update({int(value) for value in re.findall(r"^now, \w+ = (\d+)$", text, re.M)})
    assert min(shown[value] for value in range(17)) > 30


def test_a_sought_character_stands_anywhere():
    passes = Counter()
    for index in range(1500):
        problem = drawn(index, 12)
        if re.search(r"while \w+ and \w+\[-?\d\] != ", problem.rule.source):
            passes[problem.rule.trace(*problem.arguments, style="lean").num_steps] += 1
    assert set(range(13)) <= set(passes)


def violations(indices: range) -> list[str]:
    """Rules that equal one kept apart: in their form, or in their answers on arguments of any kind that both take."""
    forms = {canonical(rule.source) for rule in KEPT_APART}
    found = []
    for index in indices:
        rule, arguments = TASK.draw_rule("train", 9, generator(TASK, "train", 9, index))
        answer = str(rule.run(*arguments))
        others = [other for other in KEPT_APART if _answer(other, arguments) == answer]
        if canonical(rule.source) in forms or any(_agree(rule, other, arguments, index) for other in others):
            found.append(rule.source)
    return found


def _answer(rule: Rule, arguments: tuple) -> str | None:
    """The answer as text, None if the rule is about something else."""
    if len(rule.parameters) != len(arguments):
        return None
    try:
        return str(rule.trace(*arguments, style="scratchpad").answer)
    except RuleError:
        return None


def _agree(rule, other: Rule, arguments: tuple, seed: int) -> bool:
    """Whether the two give equal answers on 30 variations of the arguments, and not always the same one."""
    rng, answers, pool = Random(seed), Counter(), _alphabet_of(rule.source, arguments)
    for _ in range(30):
        varied = _varied(rng, arguments, pool)
        answer = _answer(other, varied)
        if answer is None or str(rule.run(*varied)) != answer:
            return False
        answers[answer] += 1
    return max(answers.values()) < 25  # of 30: else they agree in saying next to nothing


def _alphabet_of(source: str, arguments: tuple) -> str:
    """The characters that a rule over strings like these may meet, those of the strings more often."""
    given = "".join(value for value in arguments if isinstance(value, str))
    if not given.isdigit():
        return given + "abcdefghijklmnopqrstuvwxyz"
    is_about_bits = {*given, *"".join(re.findall(r"'(\w+)'", source))} <= {"0", "1"} and "% 3" not in source
    return given + ("01" if is_about_bits else "0123456789")


def _varied(rng: Random, arguments: tuple, pool: str) -> tuple:
    """Other arguments of the kind: strings of characters of ``pool``, all of one length, and a number below that."""
    length = rng.randint(2, 9)
    return tuple(
        rng.randrange(length)
        if isinstance(value, int)
        else "".join(rng.choices(pool, k=length if len(value) > 1 else 1))
        for value in arguments
    )


def test_no_rule_is_a_held_out_one():
    assert violations(range(2000)) == []


@pytest.mark.slow
def test_no_rule_of_100_000_is_a_held_out_one():
    assert violations(range(100_000)) == []


def test_the_canonical_form_sees_through_names_order_and_idle_statements():
    length_int = canonical(load_task("length_int").rule.source)
    assert length_int == canonical(
        "def f(a, p):\n  w = ''\n  n = 0\n  while a:\n    w = a[0]\n    if w > p:\n      w = p\n"
        "    a = a[1:]\n    n = n + 1\n  return n"
    )
    assert length_int != canonical("def f(a):\n  n = 0\n  while a:\n    n += 2\n    a = a[1:]\n  return n")
    get_digit = canonical(load_task("get_digit_int").rule.source)
    assert get_digit == canonical(
        "def f(s, k):\n  t = 0\n  i = 0\n  while i < k:\n    i += 1\n    t += int(s[0])\n    s = s[1:]\n"
        "  return int(s[0])"
    )


def test_splits_are_disjoint_whatever_the_names():
    """A problem is its rule, names apart, with its arguments."""
    found = {}
    for split in SPLITS:
        problems = [drawn(index, 2, split=split) for index in range(400)]
        found[split] = {(_numbered(problem.rule.source), problem.arguments) for problem in problems}
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]
    assert all(len(problems) > 350 for problems in found.values())


def _numbered(source: str) -> str:
    """The source with its names numbered in the order in which they come."""
    order: dict[str, str] = {}
    words = {"def", "while", "and", "or", "not", "in", "if", "else", "return", "break", "True", "False"}
    words |= {"len", "int", "str", "abs", "max", "min"}
    return re.sub(
        r"'\w+'|\b[a-z_A-Z]\w*",
        lambda m: m[0] if m[0] in words or m[0][0] == "'" else order.setdefault(m[0], f"v{len(order)}"),
        source,
    )


def test_examples_are_distinct():
    prompts = [TASK.example(1, "train", index, "direct").prompt + drawn(index, 1).rule.source for index in range(1500)]
    assert len(set(prompts)) == len(prompts)


def test_settings():
    digits = load_task("random_strings+digits+scan+random_names=0")
    for index in range(100):
        problem = drawn(index, 5, digits)
        assert all(str(value).isdigit() for value in problem.arguments)
        assert sum(isinstance(value, str) and len(value) > 1 for value in problem.arguments) == 1
    mixed = load_task("random_strings+bits+scan=1+pair=3")
    strings = [problem.arguments for problem in (drawn(index, 5, mixed) for index in range(100))]
    assert 55 < sum(len(arguments) == 2 and all(map(_is_text, arguments)) for arguments in strings) < 95


def _is_text(value) -> bool:
    return isinstance(value, str) and len(value) > 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("random_strings+digit", "no setting is called 'digit'; choose from digits, bits, letters, scan, count, pair"),
        ("random_strings+scan=much", "'scan=much' has no weight; write for example scan=0.5"),
        ("random_strings+random_names=2", "'random_names=2' has no weight"),
        ("random_strings+scan=0", "the weights of scan are all 0"),
    ],
)
def test_faults_in_settings_are_named(name, message):
    with pytest.raises(UserError, match=re.escape(message)):
        load_task(name)


def test_an_example_is_a_function_of_its_place_alone():
    script = (
        "from megatron_rfft.tasks import load_task\n"
        "t = load_task('random_strings')\n"
        "print(*(t.example(5, 'train', i, 'lean').prompt for i in range(20)), sep='')"
    )
    expected = "".join(TASK.example(5, "train", index, "lean").prompt for index in range(20))
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == expected + "\n"
