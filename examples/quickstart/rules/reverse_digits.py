"""The digits of a number from right to left. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def reverse_digits(num):
    result = ""
    while num:
        result = num[0] + result
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> str:
    return num[::-1]


register(
    reverse_digits,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["Write the digits of {num} in reverse.", "How does {num} read from the right?"],
)
