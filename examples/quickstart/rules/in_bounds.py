"""Is a number in bounds? The length changes nothing."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_numbers_alike


def in_bounds(place, start, goal):
    if place < start:
        return False
    if goal < place:
        return False
    return True


def instance(rng: Random, length: int) -> tuple:
    start, place = random_numbers_alike(rng)
    return place, start, rng.choice([place, place + 1, rng.randint(0, 20)])


def reference(place: int, start: int, goal: int) -> bool:
    return start <= place <= goal


register(
    in_bounds,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Is {place} within {start} and {goal}?",
        "Start: {start}. Goal: {goal}. Does the place {place} lie on the way?",
        "From {start} to {goal}, both included, do we pass {place}?",
        "Bounds are {start} and {goal}. True or false: {place} is not outside.",
    ],
)
