"""Is the way down from one number to another even? The length bounds it."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def even_gap(number, limit):
    even = True
    while number > limit:
        number -= 1
        even = not even
    return even


def instance(rng: Random, length: int) -> tuple:
    limit, number = random_gap(rng, min(length, 4))
    return number, limit


def reference(number: int, limit: int) -> bool:
    return (number - limit) % 2 == 0


register(
    even_gap,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Counted down from {number} to {limit}, is the number of steps even?",
        "Go down from {number} to {limit}. Do the steps come in pairs?",
        "Limit: {limit}. Number: {number}. Is the way down an even one?",
        "True or false: from {number} it takes an even number of steps to reach {limit}.",
    ],
)
