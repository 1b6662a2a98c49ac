"""Rewards for TRL's GRPO and RLOO: ``reward_funcs: [megatron_rfft.environments.trl.outcome]``.

The columns are those of ``rfft export-dataset``: of the layout ``rl``, whose prompts go into the model's chat template,
or of ``records``, whose prompts are given to the model as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus.layouts import PLACE
from megatron_rfft.environments.rewards import example_of, outcome_reward, step_reward

Completion = str | Sequence[Mapping[str, Any]]


def outcome(completions: Sequence[Completion], **columns: Any) -> list[float]:
    """1.0 for each right answer, else 0.0."""
    if "reward_model" in columns:
        answers = [truth["ground_truth"] for truth in columns["reward_model"]]
    else:
        answers = _column(columns, "answer")
    return [outcome_reward(_text(given), answer) for given, answer in zip(completions, answers, strict=True)]


def steps(completions: Sequence[Completion], **columns: Any) -> list[float]:
    """For each answer the share of its true trace before its first wrong line."""
    if "extra_info" in columns:
        places = columns["extra_info"]
    else:
        rows = zip(*(_column(columns, name) for name in PLACE), strict=True)
        places = [dict(zip(PLACE, row, strict=True)) for row in rows]
    return [step_reward(example_of(place), _text(given)) for given, place in zip(completions, places, strict=True)]


def _text(completion: Completion) -> str:
    """What the model wrote; of a conversation, its last message."""
    return completion if isinstance(completion, str) else completion[-1]["content"]


def _column(columns: Mapping[str, Any], name: str) -> Sequence[Any]:
    if name not in columns:
        raise UserError(f"the data set has no column {name!r}; write it with: rfft export-dataset --layout rl")
    return columns[name]
