"""Where an answer left its true trace: the first wrong line, and what kind of error it is.

The true trace follows from the instance alone, so the first line that differs from it is the first wrong one; what
comes after may follow from that one, and is not judged. Its kind depends on what the true line is for:

======================  ================================================================================================
``loop stopped early``  the test of a loop came out false instead of true, or a line from behind a loop comes within it
``loop ran on``         the test of a loop came out true instead of false, or a line of a loop comes after it was left
``wrong branch``        the test of an ``if`` came out wrong, or another statement of the rule is recited than is due
``wrong update``        a new value, or a step on the way to it, is computed wrong
``wrong recitation``    a line of the rule is quoted, but not as it stands (three quarters are alike)
``copy error``          a value that was stated before is stated differently: an argument, an old value, a number put in
``cut off``             everything is true up to the token limit
``format``              another line than the grammar has here, one left out, one too many, or an end before the answer
======================  ================================================================================================

Two more are kinds of a whole answer: ``right trace, wrong answer`` (only the last line is wrong) and ``wrong trace,
right answer``, which only ``category`` gives.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import fmean
from typing import Any

from megatron_rfft.evaluation.trace_lines import NOW, OUTCOMES, SHOWN, Role, TraceLine, Vocabulary, read_trace
from megatron_rfft.rules import ANSWER_PREFIX, Rule
from megatron_rfft.rules.proofread import split_chain
from megatron_rfft.rules.subset import is_literal_assignment
from megatron_rfft.tasks import STYLE_OF_FORM, Example, Task, load_task
from megatron_rfft.tasks.answers import check_answer

STOPPED_EARLY, RAN_ON = "loop stopped early", "loop ran on"
WRONG_BRANCH, WRONG_UPDATE, WRONG_RECITATION = "wrong branch", "wrong update", "wrong recitation"
COPY_ERROR, CUT_OFF, FORMAT, WRONG_ANSWER = "copy error", "cut off", "format", "right trace, wrong answer"
LUCKY = "wrong trace, right answer"
KINDS = (
    STOPPED_EARLY,
    RAN_ON,
    WRONG_BRANCH,
    WRONG_UPDATE,
    WRONG_RECITATION,
    COPY_ERROR,
    FORMAT,
    CUT_OFF,
    WRONG_ANSWER,
)
ALL_KINDS = (*KINDS, LUCKY)
ENTER = "enter the loop"
_THOUGHT_END = "</think>"


@dataclass(frozen=True)
class StepError:
    """The first wrong line of an answer: ``line`` counts from 1; None stands for a line that is not there."""

    kind: str
    line: int
    expected: str | None
    got: str | None


def review_example(example: Example, text: str, stopped: bool) -> dict[str, Any] | None:
    """``review_answer`` of an answer to ``example``; None for a form whose answer has no steps."""
    style = STYLE_OF_FORM.get(example.form)
    if style is None:
        return None
    task = load_task(example.task)
    if isinstance(task, Task):
        rule = task.rule
    else:  # a random rule of its own for each example
        rule = task.draw(example.split, example.length, example.index)[0].rule
    return review_answer(rule, style, example.response, text, stopped)


def review_answer(rule: Rule, style: str, true_trace: str, text: str, stopped: bool) -> dict[str, Any]:
    """The first error of an answer and its loop count, as stored with the answer.

    ``stopped`` says that the model ended the answer itself. The keys: ``error`` (kind, line, expected, got; or None),
    ``lines`` of the true trace, ``iterations`` and ``true_iterations`` through all loops.
    """
    text = without_thoughts(text)
    error = find_error(rule, style, true_trace, text, stopped)
    return {
        "error": error and dict(vars(error)),
        "lines": true_trace.count("\n") + 1,
        "iterations": count_iterations(style, text),
        "true_iterations": count_iterations(style, true_trace),
    }


def without_thoughts(text: str) -> str:
    """What a reasoning model writes after it has thought: the lines of an error count from there."""
    return text.rpartition(_THOUGHT_END)[2].lstrip("\n") if _THOUGHT_END in text else text


def count_iterations(style: str, trace: str) -> int:
    """Passes through all loops; a scratchpad shows them as states, the last one without a pass."""
    lines = trace.split("\n")
    if style != "scratchpad":
        return lines.count(ENTER)
    return max(0, sum(SHOWN.match(line) is not None for line in lines) - 1)


def find_error(rule: Rule, style: str, true_trace: str, text: str, stopped: bool = True) -> StepError | None:
    """The first line of ``text`` that is not as in ``true_trace``; None if there is none."""
    found = text.rstrip().split("\n") if stopped else text.split("\n")
    expected = true_trace.split("\n")
    pairs = zip(found, expected, strict=False)
    at = next((i for i, (got, line) in enumerate(pairs) if got != line), min(len(found), len(expected)))
    if at == len(expected):
        if at == len(found):
            return None if stopped else StepError(CUT_OFF, at, expected[-1], expected[-1])
        runs_on = stopped or any(line.strip() for line in found[at:])
        return StepError(FORMAT if runs_on else CUT_OFF, at + 1, None, found[at])
    got = found[at] if at < len(found) else None
    if not stopped and at >= len(found) - 1 and expected[at].startswith(got or ""):
        kind = CUT_OFF
    elif got is None or (got == "" and at == len(found) - 1):
        kind = FORMAT
    else:
        kind = _Judge(_vocabulary(rule, style), true_trace, at).kind(got)
    return StepError(kind, at + 1, expected[at], got) if kind else None


@lru_cache(maxsize=64)
def _vocabulary(rule: Rule, style: str) -> Vocabulary:
    return Vocabulary(rule, style)


@dataclass
class _Judge:
    """Names the kind of an error at line ``at`` (from 0) of a true trace; all lines before it are as they should be."""

    vocabulary: Vocabulary
    true_trace: str
    at: int
    shown: dict[str, str] = field(default_factory=dict)
    """The value of each variable as it was last shown before the line."""
    old: list[str] = field(default_factory=list)
    """The old values that the statement at work has shown."""

    def __post_init__(self):
        self.upcoming = read_trace(self.vocabulary, self.true_trace)
        for number, line in enumerate(self.upcoming):
            if number == self.at:
                self.due = line
                break
            self._remember(line)

    def _remember(self, line: TraceLine) -> None:
        if line.role is Role.RECITATION:
            self.old = []
            if line.statement and is_literal_assignment(line.statement):
                self.shown[line.statement.targets[0].id] = repr(ast.literal_eval(line.statement.value))
        elif line.role in (Role.ARGUMENT, Role.OLD, Role.NEW):
            members = split_chain(line.text.removeprefix(NOW))
            self.shown[members[0]] = members[-1]
        if line.role is Role.OLD:
            self.old.append(split_chain(line.text)[-1])

    def kind(self, got: str) -> str | None:
        """None for an answer that is written in another way and is right nonetheless."""
        judge = {
            Role.ANSWER: self.answer,
            Role.STATE: self.state,
            Role.OLD: self.old_value,
            Role.ARGUMENT: self.old_value,
            Role.NEW: self.new_value,
            Role.CHAIN: self.chain,
            Role.OUTCOME: self.outcome,
            Role.RECITATION: self.recitation,
            Role.HEADER: self.elsewhere,
        }[self.due.role]
        return judge(got)

    # Lines that take the place of the true one without being a variant of it

    def elsewhere(self, got: str) -> str:
        """``got`` is a true line in another place, or nothing that the grammar has."""
        if self.vocabulary.style == "scratchpad":
            return STOPPED_EARLY if got.startswith(ANSWER_PREFIX) else FORMAT
        is_answer = got.startswith(ANSWER_PREFIX)
        if (self.vocabulary.knows(got) and not self.vocabulary.is_literal(got)) or is_answer:
            if self.due.active and not self.vocabulary.stands_in(got, self.due.active[-1]):
                return STOPPED_EARLY
            if any(self.vocabulary.stands_in(got, loop) for loop in self.due.done):
                return RAN_ON
        if self.due.role is Role.RECITATION and got in self.vocabulary.recited:
            return WRONG_BRANCH
        return FORMAT

    def recitation(self, got: str) -> str:
        if self.vocabulary.knows(got) or got in OUTCOMES or got.startswith((NOW, ANSWER_PREFIX)):
            return self.elsewhere(got)
        name = SHOWN.match(got)
        if name and not self.due.text.startswith(name.group()):
            return FORMAT  # a shown value
        return WRONG_RECITATION if self.vocabulary.resembles(got) else FORMAT

    def answer(self, got: str) -> str | None:
        if not got.startswith(ANSWER_PREFIX):
            return RAN_ON if self.vocabulary.style == "scratchpad" and SHOWN.match(got) else self.elsewhere(got)
        return None if check_answer(got, self.due.text.removeprefix(ANSWER_PREFIX)) else WRONG_ANSWER

    # Variants of the true line

    def outcome(self, got: str) -> str:
        if got not in OUTCOMES or got.endswith("if") != self.due.text.endswith("if"):
            return self.elsewhere(got)
        return self.decision(self.due.text == ENTER)

    def decision(self, is_true: bool) -> str:
        """A test whose truth was ``is_true`` went the other way."""
        if not isinstance(self.due.statement, ast.While):
            return WRONG_BRANCH
        return STOPPED_EARLY if is_true else RAN_ON

    def state(self, got: str) -> str:
        names = [SHOWN.findall(line) for line in (got, self.due.text)]
        return WRONG_UPDATE if names[0] == names[1] else self.elsewhere(got)

    def old_value(self, got: str) -> str:
        name, value = self.due.text.split(" = ", 1)
        if not got.startswith(f"{name} = "):
            return self.elsewhere(got)
        # A lean trace leaves out new values that the loop's next test shows.
        return COPY_ERROR if self.due.role is Role.ARGUMENT or self.shown.get(name) == value else WRONG_UPDATE

    def new_value(self, got: str) -> str:
        if not got.startswith(NOW):
            return self.elsewhere(got)
        due, stated = (split_chain(line.removeprefix(NOW)) for line in (self.due.text, got))
        if re.match(r"\w*", due[0]).group() != re.match(r"\w*", stated[0]).group() or len(stated) < 2:
            return FORMAT
        return WRONG_UPDATE if due[0] != stated[0] else self.members(due[1:], stated[1:])

    def chain(self, got: str) -> str:
        if self.vocabulary.knows(got) or got in OUTCOMES or got.startswith((NOW, ANSWER_PREFIX)):
            return self.elsewhere(got)
        due, stated = split_chain(self.due.text), split_chain(got)
        if due[:-1] == stated[:-1] and self.ends_test():
            truths = [_truth(members[-1]) for members in (due, stated)]
            if None not in truths and truths[0] != truths[1]:
                return self.decision(truths[0])
        return self.members(due, stated)

    def members(self, due: Sequence[str], stated: Sequence[str]) -> str:
        """Chains ``code = with numbers = value``: no code in sentences, no numbers in blocks."""
        if len(due) != len(stated) and due[-1] == stated[-1]:
            return FORMAT
        first = next((i for i in range(len(due)) if i >= len(stated) or due[i] != stated[i]), len(due))
        has_code = self.vocabulary.grammar.has_code and len(due) > 1
        if first == 0 and has_code:
            return WRONG_RECITATION if len(due) == len(stated) else FORMAT
        if first < len(due) - 1 and first < len(stated) and self.is_copied(due[first], stated[first]):
            return COPY_ERROR
        return WRONG_UPDATE

    def ends_test(self) -> bool:
        """Whether the due line is the last evaluation of a loop's or branch's test."""
        if not isinstance(self.due.statement, ast.While | ast.If):
            return False
        following = (line for line in self.upcoming if line.role is not Role.NEW)
        return next(following).role is Role.OUTCOME

    def is_copied(self, due: str, stated: str) -> bool:
        """Whether the first difference lies in an old value that was put in for its variable."""
        at = next((i for i, (a, b) in enumerate(zip(due, stated, strict=False)) if a != b), min(len(due), len(stated)))
        spans = (match.span() for value in self.old for match in re.finditer(re.escape(value), due))
        return any(start <= at <= end for start, end in spans)


def _truth(value: str) -> bool | None:
    """The truth of a value as printed; None if it is not a literal."""
    try:
        return bool(ast.literal_eval(value))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def category(record: Mapping[str, Any]) -> str | None:
    """The kind of an answer's error; LUCKY where the answer is right all the same; None without an error or trace."""
    error = (record.get("trace") or {}).get("error")
    if not error:
        return None
    return LUCKY if record["outcome"] == "correct" else error["kind"]


def count_errors(records: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How often each kind occurs among ``records`` and how the loop counts compare; None for a form without traces.

    ``relative_error`` is the mean of ``abs(iterations - true) / true`` over the answers whose rule goes through a loop;
    None where no rule does (paper, error analysis: "the relative error between predicted and true iterations").
    """
    traced = [record for record in records if record.get("trace")]
    if not traced:
        return None
    kinds = Counter(filter(None, map(category, traced)))
    counts = [(record["trace"]["iterations"], record["trace"]["true_iterations"]) for record in traced]
    relative = [abs(stated - true) / true for stated, true in counts if true]
    return {
        "kinds": {kind: kinds[kind] for kind in (*KINDS, LUCKY) if kinds[kind]},
        "iterations": {
            "mean": fmean(stated for stated, _ in counts),
            "true_mean": fmean(true for _, true in counts),
            "fewer": sum(stated < true for stated, true in counts),
            "equal": sum(stated == true for stated, true in counts),
            "more": sum(stated > true for stated, true in counts),
            "relative_error": fmean(relative) if relative else None,
        },
    }


def kind_totals(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """How often each kind occurs in all cells together, in the order of ALL_KINDS."""
    totals: Counter[str] = Counter()
    for cell in cells.values():
        totals.update(cell.get("steps", {}).get("kinds", {}))
    return {kind: totals[kind] for kind in ALL_KINDS if totals[kind]}
