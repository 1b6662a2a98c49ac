"""Alternating Digit Sum: plus the first digit, minus the second, and so on. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def alternating_digit_sum(num):
    total = 0
    sign = 1
    while num:
        total += sign * int(num[0])
        sign = -sign
        num = num[1:]
    return total


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> int:
    return sum(map(int, num[::2])) - sum(map(int, num[1::2]))


register(
    alternating_digit_sum,
    source="lc_2544",
    role="held-out",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Give the digits of {num} the signs plus and minus in turn, starting with plus on the left. What is their sum?",
        "Add the first digit of {num}, subtract the second, add the third, and so on to the last. What comes out?",
        "What is the alternating sum of the digits of {num}, if the leftmost digit counts as positive?",
    ],
)
