"""The largest digit of a number. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def largest_digit(num):
    best = "0"
    while num:
        if num[0] > best:
            best = num[0]
        num = num[1:]
    return best


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> str:
    return max(num)


register(
    largest_digit,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["What is the largest digit of {num}?", "Find the greatest digit in {num}."],
)
