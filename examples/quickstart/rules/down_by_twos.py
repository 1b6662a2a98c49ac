"""One number goes down by twos until it is not above another. The length bounds their distance."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def down_by_twos(limit, number):
    while limit < number:
        number -= 2
    return number


def instance(rng: Random, length: int) -> tuple:
    return random_gap(rng, min(length, 8))


def reference(limit: int, number: int) -> int:
    return number - -(-(number - limit) // 2) * 2


register(
    down_by_twos,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "From {number}, go down by twos until you are not above {limit}. Where are you?",
        "Take 2 from {number} as long as it is more than {limit}. What is left?",
        "Number: {number}. Limit: {limit}. Steps of two lead down to the limit or past it. Where do they end?",
        "{number} loses 2 again and again, until {limit} is not below it. What does it come to?",
    ],
)
