"""One number goes up by threes until it is not below another. The length bounds their distance."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def by_threes(number, limit):
    while number < limit:
        number += 3
    return number


def instance(rng: Random, length: int) -> tuple:
    return random_gap(rng, min(length, 9))


def reference(number: int, limit: int) -> int:
    return number + -(-(limit - number) // 3) * 3


register(
    by_threes,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "From {number}, go up by threes until you are not below {limit}. Where are you?",
        "Add 3 to {number} as long as it is less than {limit}. What does it become?",
        "Limit: {limit}. Number: {number}. Steps of three lead up to the limit or over it. Where do they end?",
        "Which number of {number} and every third after it is the first that is at least {limit}?",
    ],
)
