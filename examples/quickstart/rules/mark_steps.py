"""Write a one for each step from one place to another. There are at most as many as the length, and at most three."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def mark_steps(place, goal):
    marks = ""
    while place != goal:
        marks += "1"
        place += 1
    return marks


def instance(rng: Random, length: int) -> tuple:
    return random_gap(rng, min(length, 3))


def reference(place: int, goal: int) -> str:
    return "1" * (goal - place)


register(
    mark_steps,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write a 1 for each step from {place} to {goal}.",
        "You stand at {place} and walk to {goal}. Mark each step with a 1.",
        "Goal: {goal}. Place: {place}. Write as many ones as there are steps.",
        "How do the steps to {goal} look, if you begin at {place} and write each as a 1?",
    ],
)
