"""Traces against an independent execution of the plain rule; thousands of instances under --full."""

import pytest

from megatron_rfft.rules import Rule, false_lines
from megatron_rfft.tasks import FORMS, STYLE_OF_FORM, NoInstanceError, list_tasks, load_task
from tests.tasks.oracle import disagreements, disagreements_in_blocks, execute

TASKS = list_tasks()


@pytest.mark.parametrize("name", TASKS)
def test_every_shown_state_is_the_executed_one(name):
    task = load_task(name)
    for length in {task.valid_lengths[0], *(n for n in (4, 9) if n in task.valid_lengths)}:
        for index in range(2):
            try:
                example = task.example(length, "train", index)
            except NoInstanceError:
                break
            assert disagreements(task.rule, example.arguments, example.response) == []


@pytest.mark.parametrize("name", TASKS)
def test_every_value_shown_in_blocks_is_the_executed_one(name):
    task = load_task(name)
    for length in {task.valid_lengths[0], *(n for n in (4, 9) if n in task.valid_lengths)}:
        try:
            example = task.example(length, "train", 0, "rule-blocks")
        except NoInstanceError:
            continue
        assert disagreements_in_blocks(task.rule, example.arguments, example.response) == []


def test_the_oracle_notices_a_false_trace():
    rule = Rule("def f(xs):\n    n = 0\n    while xs:\n        x = xs.pop(0)\n        n += x\n    return n")
    text = rule.trace([3, 4]).text
    assert disagreements(rule, ([3, 4],), text) == []
    lines = text.split("\n")
    noticed = 0
    for place, line in enumerate(lines):
        for old, new in (("3", "5"), ("0", "1"), ("[4]", "[]")):
            if old in line and not line.startswith(("1.", "2.", "3.")) and " = " in line:
                changed = "\n".join([*lines[:place], line.replace(old, new), *lines[place + 1 :]])
                noticed += bool(disagreements(rule, ([3, 4],), changed))
    assert noticed >= 12
    assert disagreements(rule, ([3, 4],), text.replace("n += x\n", "", 1))
    assert disagreements(rule, ([3, 4],), text[:-1] + "8")


def test_the_oracle_of_blocks_notices_a_false_trace():
    rule = Rule("def f(xs):\n    n = 0\n    while xs:\n        x = xs.pop(0)\n        n += x * 2\n    return n")
    text = rule.trace([3, 4], style="blocks").text
    assert disagreements_in_blocks(rule, ([3, 4],), text) == []
    for old, new in (
        ("now, x = 3", "now, x = 5"),
        ("now, xs = [4]", "now, xs = []"),
        ("x * 2 = 6", "x * 2 = 8"),
        ("now, n = 6\n", ""),
        ("enter the loop", "do not enter"),
        ("xs = [4]\nn = 6", "xs = [4]\nn = 7"),
        ("is 14", "is 15"),
    ):
        assert disagreements_in_blocks(rule, ([3, 4],), text.replace(old, new, 1)) != [], old


def test_the_oracle_sees_each_line():
    rule = Rule("def f(n):\n    while n:\n        n -= 1\n    return n")
    events, answer = execute(rule, (2,))
    assert [event.line for event in events] == ["while n:", "n -= 1", "while n:", "n -= 1", "while n:", "return n"]
    assert (events[2].state, answer) == ({"n": 1}, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_thousands_of_instances_in_all_forms(name):
    """Lengths to 40, every form: true lines, executed states, right answers."""
    task = load_task(name)
    for length in (n for n in (*range(1, 16), 20, 31, 40) if n in task.valid_lengths):
        for form in FORMS:
            for index in range(2 if length < 8 else 1):
                try:
                    example = task.example(length, "train", index, form)
                except NoInstanceError:
                    break
                assert example.answer == repr(task.reference(*example.arguments))
                if form in STYLE_OF_FORM:
                    assert false_lines(task.rule, example.response, STYLE_OF_FORM[form], example.arguments) == []
                if form == "rule":
                    assert disagreements(task.rule, example.arguments, example.response) == []
                if form == "rule-blocks":
                    assert disagreements_in_blocks(task.rule, example.arguments, example.response) == []
