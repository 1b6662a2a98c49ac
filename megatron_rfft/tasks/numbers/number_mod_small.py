"""Remainder of a long integer by a small one, digit by digit. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def number_mod_small(num, divisor):
    remainder = 0
    while num:
        remainder = (remainder * 10 + int(num[0])) % divisor
        num = num[1:]
    return remainder


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), rng.randint(2, 99)


def reference(num: str, divisor: int) -> int:
    return int(num) % divisor


register(
    number_mod_small,
    source="number_mod_small",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is the remainder of {num} divided by {divisor}?",
        "Calculate {num} modulo {divisor}.",
        "What is left over if {num} is shared out in groups of {divisor}?",
    ],
)
