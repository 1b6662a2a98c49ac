"""The lower one of two numbers. The length does not matter."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_numbers_alike


def lower(first, second):
    if second < first:
        return second
    return first


def instance(rng: Random, length: int) -> tuple:
    return random_numbers_alike(rng)


def reference(first: int, second: int) -> int:
    return min(first, second)


register(
    lower,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which one is lower, {first} or {second}?",
        "Two numbers are {first} and {second}. Give the lower one.",
        "Of {second} and {first}, take the number that is not larger.",
        "{first} or {second}: what is the lower number?",
    ],
)
