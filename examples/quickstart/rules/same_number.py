"""Are two numbers the same? The length changes nothing."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_numbers_alike


def same_number(number, limit):
    if number != limit:
        return False
    return True


def instance(rng: Random, length: int) -> tuple:
    return random_numbers_alike(rng)


def reference(number: int, limit: int) -> bool:
    return number == limit


register(
    same_number,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Number: {number}. Limit: {limit}. Is the limit met exactly?",
        "Is {number} the same as {limit}?",
        "True or false: {limit} and {number} are one number.",
        "Compare {number} with {limit}. Are they equal?",
    ],
)
