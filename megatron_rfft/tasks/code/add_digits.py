"""Add Digits: sum the digits, again and again, until one digit is left. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def add_digits(num):
    while len(num) > 1:
        total = 0
        while num:
            total += int(num[0])
            num = num[1:]
        num = str(total)
    return int(num)


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> int:
    value = int(num)
    return 1 + (value - 1) % 9 if value else 0


register(
    add_digits,
    source="lc_258",
    role="held-out",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Sum the digits of {num}, then the digits of that sum, and so on until one digit is left. Which is it?",
        "Replace {num} by the sum of its digits, over and over, until only one digit remains. What is it?",
        "To which single digit does {num} shrink if you keep adding up its digits?",
    ],
)
