"""How often does a digit occur? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_one


def count_digit(num, digit):
    count = 0
    while num:
        if num[0] == digit:
            count += 1
        num = num[1:]
    return count


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_one(rng, length)


def reference(num: str, digit: str) -> int:
    return num.count(digit)


register(
    count_digit,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How often does {digit} occur in {num}?",
        "Count the digit {digit} in {num}.",
        "Number: {num}. How many {digit}?",
    ],
)
