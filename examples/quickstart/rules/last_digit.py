"""The last digit of a number. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def last_digit(num):
    while len(num) > 1:
        num = num[1:]
    return int(num[0])


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> int:
    return int(num[-1])


register(
    last_digit,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is the last digit of {num}?",
        "Which digit ends {num}?",
        "Read {num} to its end. Which digit is there?",
    ],
)
