"""What an answer is worth: whether it is right, and how much of its trace is.

Both are from 0 to 1. The outcome is what ``rfft evaluate`` counts as accuracy. The steps are the share of the true
trace before the first line that an answer has wrong. They come from the trace checker of ``rfft evaluate``, so a lucky
answer after a wrong step is worth its right steps only.

Trainers hand over an answer's text alone. So unlike in an evaluation, an answer that was cut at its budget counts as
ended: it is right only if it happens to end in the right answer.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus.layouts import PLACE
from megatron_rfft.evaluation.steps import review_example
from megatron_rfft.tasks import Example, load_task
from megatron_rfft.tasks.answers import check_answer

_KEPT = 4096  # examples: a batch of prompts, of which each is answered several times


def outcome_reward(text: str, answer: str) -> float:
    """1.0 if ``text`` ends in the one line ``So the answer is ...`` with the value of ``answer``, else 0.0."""
    return float(check_answer(text, answer))


def step_reward(example: Example, text: str) -> float:
    """The share of the lines of the true trace that ``text`` has before its first wrong one.

    A line too many makes the last one wrong: only a whole trace and nothing else is worth 1.0. In a form without a
    trace the answer is the only step, and this is the outcome.
    """
    review = review_example(example, text, stopped=True)
    if review is None:
        return outcome_reward(text, example.answer)
    if (error := review["error"]) is None:
        return 1.0
    return min(error["line"] - 1, review["lines"] - 1) / review["lines"]


def blend(outcome: float, steps: float, step_weight: float) -> float:
    """One reward of both: ``step_weight`` of the steps, the rest of the outcome.

    Raises UserError for a weight outside 0 to 1.
    """
    if not 0.0 <= step_weight <= 1.0:
        raise UserError(f"step_weight is {step_weight}; give a share from 0 (the outcome alone) to 1 (the steps alone)")
    return (1.0 - step_weight) * outcome + step_weight * steps


def example_of(place: Mapping[str, Any]) -> Example:
    """The example that a row's fields ``task``, ``version``, ``split``, ``length``, ``index`` and ``form`` name.

    Raises UserError where the task has another version now: its examples are others than the row's.
    """
    return _example(*(place[name] for name in PLACE[1:]))


@lru_cache(maxsize=_KEPT)
def _example(task: str, version: int, split: str, length: int, index: int, form: str) -> Example:
    found = load_task(task)
    if found.version != version:
        raise UserError(f"task {task} has version {found.version}, the row has {version}; write the rows again")
    return found.example(length, split, index, form)
