"""A task of one's own looked at closely: many instances of each length, their traces, answers and sizes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from megatron_rfft.common.apart import Report, run_apart
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.corpus.tokens import estimate_tokens
from megatron_rfft.rules import STYLES, false_lines
from megatron_rfft.tasks import Task
from megatron_rfft.tasks.gate import called, draw_probe, prove_answer, prove_task
from megatron_rfft.tasks.instances import instance_key, list_if_few

GUESSABLE = 0.6  # share of one answer; the tasks of the package have at most this
_FINISHED = "the next length"  # of what is reported: it moves the progress bar
_TRACED = 3  # instances of each length whose traces are proof-read, in every style


@dataclass
class CheckedLength:
    """What ``samples`` instances of one length have shown."""

    length: int
    distinct: int
    """Different instances among them."""
    most_frequent: str
    """The answer that most of these have ..."""
    share: float
    """... and how many of them have it."""
    most_tokens: int
    """Of the longest trace looked at, as ``estimate_tokens`` counts."""


def check_task(task: Task, lengths: Sequence[int] | None = None, samples: int = 200) -> dict[str, Any]:
    """Prove the rule, its traces and the reference on ``samples`` instances of each of ``lengths``, by default all.

    Returns the task's name, ``lengths`` (CheckedLength as dicts) and ``notes``: lines about what is allowed and may not
    be meant. Raises UserError for the first fault, and where the task's code does not return.
    """
    chosen = list(lengths or task.valid_lengths)
    if wrong := [length for length in chosen if length not in task.valid_lengths]:
        raise UserError(f"task {task.name} has no length {wrong[0]}; choose from its valid_lengths")
    if samples < 1:
        raise UserError(f"samples is {samples}; look at 1 at least")
    with progress_bar(len(chosen), f"checking {task.name}", "lengths") as bar:
        return run_apart(
            lambda report: _check(task, chosen, samples, report),
            heard=lambda what: bar.update(what == _FINISHED),
        )


def _check(task: Task, lengths: Sequence[int], samples: int, report: Report) -> dict[str, Any]:
    """What ``check_task`` returns; ``report`` hears of every call of the task's code before it is made."""
    checked, notes, first_seen = [], [], {}
    for length in lengths:
        prove_task(task, report, [length])
        probes = (draw_probe(task, length, number, report) for number in range(samples))
        drawn = {instance_key(found): found for found in probes}
        answers = Counter(_answer(task, length, arguments, report) for arguments in drawn.values())
        report(called("a trace of the rule", task, length))
        most_tokens = max(_proof_read(task, arguments) for arguments in list(drawn.values())[:_TRACED])
        answer, count = answers.most_common(1)[0]
        checked.append(CheckedLength(length, len(drawn), answer, count / len(drawn), most_tokens))
        twice = next((key for key in drawn if key in first_seen), None)
        if twice and list_if_few(task, length):
            what = f"{drawn[twice]!r:.100} comes at length {length} and at length {first_seen[twice]}"
            notes.append(f"{what}: a training question of one may be a test question of the other")
        first_seen |= {key: length for key in drawn if key not in first_seen}
        report(_FINISHED)
    return {"task": task.name, "lengths": [asdict(row) for row in checked], "notes": notes + _notes(checked)}


def _answer(task: Task, length: int, arguments: tuple, report: Report) -> str:
    report(called("the rule", task, length))
    answer = task.rule.run(*arguments)
    report(called("the reference", task, length))
    return prove_answer(task, arguments, answer)


def _proof_read(task: Task, arguments: tuple) -> int:
    """The tokens of the longest trace of an instance. Raises UserError if a line of one is not true."""
    most = 0
    for style in STYLES:
        text = task.rule.trace(*arguments, style=style).text
        if false := false_lines(task.rule, text, style, arguments):
            what = f"the trace in the style {style} is not true on {arguments!r:.100} ({false[0]})"
            raise UserError(f"rule {task.name}: {what}; write its lines in simpler steps")
        most = max(most, estimate_tokens(text))
    return most


def _notes(checked: list[CheckedLength]) -> list[str]:
    guessable = [row for row in checked if row.share > GUESSABLE and row.distinct > 1]
    notes = []
    if guessable:
        worst = max(guessable, key=lambda row: row.share)
        what = f"{worst.share:.0%} of the answers at length {worst.length} are {worst.most_frequent:.50}"
        others = f", and of {len(guessable) - 1} other lengths over {GUESSABLE:.0%}" if len(guessable) > 1 else ""
        notes.append(f"{what}{others}: they can be guessed, balance the sampler")
    if few := [row.length for row in checked if row.distinct == 1]:
        notes.append(f"length {', '.join(map(str, few))} has one instance only: nothing is left to test on")
    return notes
