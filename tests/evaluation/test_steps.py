"""One error of a known kind put into a true trace at a known place: that line and that kind have to be named."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.evaluation import steps
from megatron_rfft.evaluation.steps import StepError, category, count_errors, find_error, review_answer
from megatron_rfft.evaluation.trace_lines import Vocabulary, read_trace
from megatron_rfft.rules import STYLES, Rule, RuleError
from megatron_rfft.tasks import list_tasks, load_task
from megatron_rfft.tasks.prompts import STYLE_OF_FORM
from tests.rules.test_random_programs import programs

FORMS = ("rule", "lean", "rule-blocks", "rule-nl")
TASKS = [*list_tasks(role="held-out"), *list_tasks(role="pretrain")[::6]]
FLIPS = {
    "enter the loop": ("do not enter", steps.STOPPED_EARLY),
    "do not enter": ("enter the loop", steps.RAN_ON),
    "enter if": ("do not enter if", steps.WRONG_BRANCH),
    "do not enter if": ("enter if", steps.WRONG_BRANCH),
}


def example_of(name: str, form: str, index: int = 0):
    task = load_task(name)
    length = next((n for n in (4, 5, 6, 8) if n in task.valid_lengths), task.valid_lengths[-1])
    example = task.example(length=length, split="train", index=index, form=form)
    return task.rule, STYLE_OF_FORM[form], example.response


def recited_lines(rule: Rule, form: str) -> set[str]:
    """Lines that can't be anything but a recitation."""
    text = rule.sentences if form == "rule-nl" else rule.source.split("\n", 1)[1]
    lines = {line.strip() for line in text.split("\n")}
    if form == "rule-nl":
        return lines
    return {line for line in lines if re.match(r"(while|if|elif|return) |\w+ \W= ", line)}


def other_value(value: str) -> str:
    """A value of the same look that is another one."""
    swapped = value.translate(str.maketrans("0123456789abcdefgTF", "1234567890bcdefgaFT"))
    return swapped if swapped != value else f"[{value}]"


def injections(rule: Rule, form: str, lines: list[str]):
    """Every place where the text alone tells what an error of which kind would be: (line number, its text, kind)."""
    recited = recited_lines(rule, form)
    source = {line.strip() for line in rule.source.split("\n")}
    arguments = len(rule.parameters)
    for at, line in enumerate(lines):
        head, _, value = line.rpartition(" = ")
        if line in FLIPS:
            yield at, *FLIPS[line]
        elif 1 <= at <= arguments:
            yield at, f"{line.split(' = ')[0]} = {other_value(line.split(' = ', 1)[1])}", steps.COPY_ERROR
        elif line.startswith("now, ") and " = " not in value:
            yield at, f"{head} = {other_value(value)}", steps.WRONG_UPDATE
        elif line.strip() in recited:
            yield at, f"{line[: len(line) // 2]}?{line[len(line) // 2 + 1 :]}", steps.WRONG_RECITATION
            yield at, "Let me think about this first.", steps.FORMAT
        elif line.startswith("So the answer is "):
            yield at, "So the answer is nothing of this kind", steps.WRONG_ANSWER
        elif form == "rule-blocks" and line in source:
            continue  # one of several recited lines, or a shown value
        elif re.match(r"\w+ = ", line) and lines[at - 1] in recited and form != "lean":
            yield at, f"{line.split(' = ')[0]} = {other_value(line.split(' = ', 1)[1])}", steps.COPY_ERROR


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TASKS)
def test_every_injected_error_is_named(name, form):
    rule, style, trace = example_of(name, form)
    assert find_error(rule, style, trace, trace) is None
    lines = trace.split("\n")
    seen = set()
    for at, wrong, kind in injections(rule, form, lines):
        if (lines[at], kind) in seen and at % 7:  # each text once, and every seventh place
            continue
        seen.add((lines[at], kind))
        for rest in (lines[at + 1 :], []):  # what follows does not matter
            error = find_error(rule, style, trace, "\n".join([*lines[:at], wrong, *rest]))
            assert error == StepError(kind, at + 1, lines[at], wrong)


@given(st.sampled_from(TASKS), st.sampled_from((*FORMS, "scratchpad")), st.integers(0, 40), st.data())
@settings(deadline=None, max_examples=150)
def test_a_cut_trace_is_cut_off_where_it_ends(name, form, index, data):
    rule, style, trace = example_of(name, form, index % 3)
    place = data.draw(st.integers(0, len(trace) - 1))
    error = find_error(rule, style, trace, trace[:place], stopped=False)
    assert error.kind == steps.CUT_OFF
    assert error.line == trace[: place + 1].count("\n") + 1  # at the end of a line: the next one


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    programs(),
    st.integers(-5, 50),
    st.text("a7'\"\\=\n ", max_size=5),
    st.lists(st.integers(-9, 30), max_size=5),
    st.data(),
)
def test_any_answer_to_any_rule_is_judged(source, n, s, xs, data):
    rule = Rule(source)
    for style in STYLES:
        try:
            true = rule.trace(n, s, xs, style=style).text
        except RuleError:
            return
        read = read_trace(Vocabulary(rule, style), true)
        lines = true.split("\n")
        assert [line.text for line in read] == lines
        assert find_error(rule, style, true, true) is None
        at = data.draw(st.integers(0, len(lines) - 1))
        wrong = data.draw(
            st.sampled_from([*lines, "", "x", "now, a", f"{lines[at]} = 1", lines[at][1:], lines[at] + "1"])
        )
        for text in ([*lines[:at], wrong, *lines[at + 1 :]], [*lines[:at], wrong], [*lines[:at], *lines[at + 1 :]]):
            error = find_error(rule, style, true, "\n".join(text))
            assert error is None or error.kind in steps.KINDS


COUNT = Rule("def f(xs):\n  n = 0\n  while len(xs) > 0:\n    x = xs.pop(0)\n    if x > 2:\n      n += x\n  return n")
TRACE = COUNT.trace([3, 12, 1]).text.split("\n")


def judged(lines: list[str], rule=COUNT, style="full", true=TRACE, stopped=True) -> tuple[str, int] | None:
    error = find_error(rule, style, "\n".join(true), "\n".join(lines), stopped)
    return error and (error.kind, error.line)


def change(old: str, new: str, occurrence: int = 0) -> tuple[list[str], int]:
    """The trace with one line replaced, and its number."""
    at = [number for number, line in enumerate(TRACE) if line == old][occurrence]
    return [*TRACE[:at], new, *TRACE[at + 1 :]], at + 1


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("len(xs) > 0 = 3 > 0 = True", "len(xs) > 0 = 3 > 0 = False", steps.STOPPED_EARLY),
        ("len(xs) > 0 = 0 > 0 = False", "len(xs) > 0 = 0 > 0 = True", steps.RAN_ON),
        ("len(xs) > 0 = 0 > 0 = False", "len(xs) > 0 = 1 > 0 = True", steps.WRONG_UPDATE),
        ("len(xs) > 0 = 3 > 0 = True", "len(xz) > 0 = 3 > 0 = True", steps.WRONG_RECITATION),
        ("x > 2 = 12 > 2 = True", "x > 2 = 12 > 2 = False", steps.WRONG_BRANCH),
        ("x > 2 = 12 > 2 = True", "x > 2 = 1 > 2 = False", steps.COPY_ERROR),
        ("now, n = n + x = 3 + 12 = 15", "now, n = n + x = 3 + 12 = 16", steps.WRONG_UPDATE),
        ("now, n = n + x = 3 + 12 = 15", "now, n = n + x = 3 + 2 = 5", steps.COPY_ERROR),
        ("now, n = n + x = 3 + 12 = 15", "now, n = n + y = 3 + 12 = 15", steps.WRONG_RECITATION),
        ("now, n = n + x = 3 + 12 = 15", "now, x = n + x = 3 + 12 = 15", steps.FORMAT),
        ("now, n = n + x = 3 + 12 = 15", "now, n = 15", steps.FORMAT),
        ("now, n = n + x = 3 + 12 = 15", "n = 3", steps.FORMAT),
        ("n = 0", "n = 1", steps.WRONG_RECITATION),
        ("2.1 One iteration", "x = xs.pop(0)", steps.FORMAT),
        ("2.1 One iteration", "3. Return", steps.STOPPED_EARLY),
        ("if x > 2:", "n += x", steps.WRONG_BRANCH),
        ("if x > 2:", "3. Return", steps.STOPPED_EARLY),
        ("3. Return", "while len(xs) > 0:", steps.RAN_ON),
        ("3. Return", "2.1 One iteration", steps.RAN_ON),
        ("So the answer is 15", "So the answer is 16", steps.WRONG_ANSWER),
        ("So the answer is 15", "Done", steps.FORMAT),
    ],
)
def test_kinds_by_hand(old, new, kind):
    lines, number = change(old, new)
    assert judged(lines) == (kind, number)


def test_the_loop_is_left_or_goes_on_without_a_test():
    tests = [number for number, line in enumerate(TRACE) if line == "while len(xs) > 0:"]
    behind = TRACE.index("3. Return")
    assert judged([*TRACE[: tests[1]], *TRACE[behind:]]) == (steps.STOPPED_EARLY, tests[1] + 1)
    assert judged([*TRACE[:behind], *TRACE[tests[0] : tests[1]], *TRACE[behind:]]) == (steps.RAN_ON, behind + 1)


def test_a_recited_value_and_an_old_value_of_the_same_text():
    wrong, number = change("n = 0", "n = 7", occurrence=1)  # the first n = 0 recites the rule, the second is read
    assert judged(wrong) == (steps.COPY_ERROR, number)


@pytest.mark.parametrize("style", ["full", "blocks"])
def test_an_evaluation_that_reads_like_a_statement(style):
    rule = Rule("def f(seen, at):\n  if seen[at]:\n    at += 1\n  seen[at] = True\n  return seen[at]")
    lines = rule.trace([True, False], 0, style=style).text.split("\n")
    at = lines.index("seen[at] = True")  # the test's evaluation; the statement comes later
    assert judged(lines, rule, style, lines) is None
    wrong = [*lines[:at], "seen[at] = False", *lines[at + 1 :]]
    assert judged(wrong, rule, style, lines) == (steps.WRONG_BRANCH, at + 1)
    again = lines.index("seen[at] = True", at + 1)
    assert judged([*lines[:again], "return seen[at]"], rule, style, lines) == (steps.WRONG_BRANCH, again + 1)


def test_a_chain_with_a_member_too_many():
    lines, number = change("x > 2 = 12 > 2 = True", "x > 2 = 12 > 2 = True = 1")
    assert judged(lines) == (steps.WRONG_UPDATE, number)


def test_ends():
    assert judged([*TRACE, "", ""]) is None
    assert judged([*TRACE, "So the answer is 15"]) == (steps.FORMAT, len(TRACE) + 1)
    assert judged(TRACE[:10]) == (steps.FORMAT, 11)
    assert judged([]) == (steps.FORMAT, 1)
    assert judged(TRACE, stopped=False) == (steps.CUT_OFF, len(TRACE))
    assert judged([*TRACE, "", "1. Initialize"], stopped=False) == (steps.FORMAT, len(TRACE) + 1)
    wrong, number = change("x > 2 = 12 > 2 = True", "x > 2 = 12 > 2 = False")
    assert judged(wrong[: number + 3], stopped=False) == (steps.WRONG_BRANCH, number)  # not: cut off


def test_an_answer_in_another_writing_is_no_error():
    rule = Rule("def f(s):\n  t = s[1:]\n  return t")
    trace = rule.trace("a12").text
    assert find_error(rule, "full", trace, trace.replace("is '12'", "is 12")) is None


def test_a_lean_trace_shows_updates_at_the_test_of_the_loop():
    rule = Rule("def f(s, t):\n  n = 0\n  while s and t:\n    s = s[1:]\n    n += 1\n  return n")
    lines = rule.trace("abc", "xy", style="lean").text.split("\n")
    second = lines.index("s = 'bc'")
    for at, wrong, kind in ((second, "s = 'c'", steps.WRONG_UPDATE), (second + 1, "t = 'x'", steps.COPY_ERROR)):
        assert judged([*lines[:at], wrong, *lines[at + 1 :]], rule, "lean", lines) == (kind, at + 1)


def test_a_nested_loop_left_early_and_a_later_one_entered():
    source = (
        "def f(xs, k):\n  n = 0\n  while xs:\n    x = xs.pop()\n    while x > k:\n      x -= k\n    n += x\n  return n"
    )
    rule = Rule(source)
    lines = rule.trace([5, 3], 2).text.split("\n")
    update = lines.index("x -= k")
    assert judged([*lines[:update], "n += x"], rule, true=lines) == (steps.STOPPED_EARLY, update + 1)
    after = lines.index("n += x")
    assert judged([*lines[:after], "x -= k"], rule, true=lines) == (steps.RAN_ON, after + 1)
    again = lines.index("x = xs.pop()", after)  # in the second pass the inner loop has not been left yet
    assert judged([*lines[:again], "n += x"], rule, true=lines) == (steps.WRONG_BRANCH, again + 1)


def test_a_scratchpad_is_compared_state_by_state():
    lines = COUNT.trace([3, 12, 1], style="scratchpad").text.split("\n")
    assert judged([*lines[:2], lines[2].replace("n = 15", "n = 14"), *lines[3:]], COUNT, "scratchpad", lines) == (
        steps.WRONG_UPDATE,
        3,
    )
    assert judged([*lines[:2], lines[-1]], COUNT, "scratchpad", lines) == (steps.STOPPED_EARLY, 3)
    assert judged([*lines[:-1], *lines[-2:]], COUNT, "scratchpad", lines) == (steps.RAN_ON, len(lines))


def test_loop_counts_and_categories():
    early = [*TRACE[: TRACE.index("2.1 One iteration") + 1], *TRACE[TRACE.index("3. Return") :]]
    records = [
        {"outcome": "correct", "trace": review_answer(COUNT, "full", "\n".join(TRACE), "\n".join(text), True)}
        for text in (TRACE, early)
    ]
    assert [category(record) for record in records] == [None, steps.LUCKY]
    assert (records[1]["trace"]["iterations"], records[1]["trace"]["true_iterations"]) == (1, 3)
    counted = count_errors(records)
    assert counted["kinds"] == {steps.LUCKY: 1}
    assert counted["iterations"] == {
        **{"mean": 2.0, "true_mean": 3.0, "fewer": 1, "equal": 1, "more": 0},
        "relative_error": pytest.approx((0 + 2 / 3) / 2),
    }
    assert count_errors([{"outcome": "wrong"}]) is None
    no_loop = {"outcome": "correct", "trace": {"error": None, "lines": 3, "iterations": 0, "true_iterations": 0}}
    assert count_errors([no_loop])["iterations"]["relative_error"] is None


def test_thoughts_are_not_part_of_the_trace():
    text = "<think>\nSo the answer is 3\n</think>\n\n" + "\n".join(TRACE)
    assert review_answer(COUNT, "full", "\n".join(TRACE), text, True)["error"] is None
