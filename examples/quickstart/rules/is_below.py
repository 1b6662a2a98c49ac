"""Is a number below another? The length does not matter."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_numbers_alike


def is_below(number, limit):
    if number < limit:
        return True
    return False


def instance(rng: Random, length: int) -> tuple:
    return random_numbers_alike(rng)


def reference(number: int, limit: int) -> bool:
    return number < limit


register(
    is_below,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Is {number} below {limit}?",
        "True or false: {number} is less than {limit}.",
        "Number: {number}. Limit: {limit}. Is the number under the limit?",
        "Does {number} come before {limit} when you count?",
    ],
)
