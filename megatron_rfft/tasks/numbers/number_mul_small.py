"""Multiplication of a long integer by one of two or three digits. The length is the long one's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def number_mul_small(num, factor):
    result = ""
    carry = 0
    while num:
        total = int(num[-1]) * factor + carry
        result = str(total % 10) + result
        carry = total // 10
        num = num[:-1]
    if carry:
        result = str(carry) + result
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), rng.choice([rng.randint(11, 99), rng.randint(101, 999)])


def reference(num: str, factor: int) -> str:
    return str(int(num) * factor)


register(
    number_mul_small,
    source="number_mul_small",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is {num} times {factor}?",
        "Multiply {num} by {factor}.",
        "The number of grains in a box is {num}, and the number of such boxes is {factor}. How many grains are "
        "there in all?",
    ],
)
