"""The solved example that a one-shot prompt shows first: short, another instance, always from the training split."""

from random import Random
from typing import TYPE_CHECKING

from megatron_rfft.tasks.instances import NoInstanceError

if TYPE_CHECKING:
    from megatron_rfft.tasks.prompts import Problem
    from megatron_rfft.tasks.task import AnyTask

FEWER_STEPS_THAN = 5  # paper, 1-shot arm; a step is a pass through a loop
_SHORT_LENGTHS = 4
_TRIES = 24


def draw_exemplar(task: "AnyTask", problem: "Problem", rng: Random) -> "Problem":
    """Another problem of ``task`` whose solution has a step repeated, but fewer than FEWER_STEPS_THAN in all.

    Where none is found, the nearest: the longest of those with fewer steps, else the shortest.
    """
    lengths = list(task.valid_lengths[:_SHORT_LENGTHS])
    nearest, best = None, None
    for _ in range(_TRIES):
        exemplar = task.draw_any("train", rng.choice(lengths), rng)
        if (exemplar.rule, exemplar.arguments) == (problem.rule, problem.arguments):
            continue
        steps = exemplar.rule.trace(*exemplar.arguments, style="lean").num_steps
        distance = (steps >= FEWER_STEPS_THAN, abs(FEWER_STEPS_THAN - steps))
        if nearest is None or distance < nearest:
            nearest, best = distance, exemplar
        if 2 <= steps < FEWER_STEPS_THAN:
            break
    if best is None:
        raise NoInstanceError(f"task {task.name} has no second instance to show first; choose another form")
    return best
