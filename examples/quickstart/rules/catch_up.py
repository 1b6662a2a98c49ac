"""One number catches up with another. The length bounds their distance."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def catch_up(place, goal):
    while place < goal:
        place += 2
        goal += 1
    return goal


def instance(rng: Random, length: int) -> tuple:
    return random_gap(rng, min(length, 5))


def reference(place: int, goal: int) -> int:
    return 2 * goal - place


register(
    catch_up,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "One runs from {place} by twos, another from {goal} by ones. Where are they level?",
        "The goal {goal} moves by 1, the place {place} by 2. Where is the goal when it is reached?",
        "Goal: {goal}. Place: {place}. The place moves twice as fast. Where does it catch up?",
        "From {place} by twos, after a goal that leaves {goal} by ones: on which number do they meet?",
    ],
)
