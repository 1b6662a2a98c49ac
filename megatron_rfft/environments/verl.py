"""The reward function for verl: ``reward.custom_reward_function.path=pkg://megatron_rfft.environments.verl``.

The rows are those of ``rfft export-dataset --layout rl``.
"""

from collections.abc import Mapping
from typing import Any

from megatron_rfft.environments.rewards import blend, example_of, outcome_reward, step_reward


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any],
    step_weight: float = 0.0,
    **_: Any,
) -> dict[str, float]:
    """``score``, which is optimized, with ``acc`` (the outcome) and ``steps``, which verl logs beside it.

    ``step_weight`` is set with ``reward.custom_reward_function.reward_kwargs.step_weight``.
    """
    outcome = outcome_reward(solution_str, ground_truth)
    steps = step_reward(example_of(extra_info), solution_str)
    return {"score": blend(outcome, steps, step_weight), "acc": outcome, "steps": steps}
