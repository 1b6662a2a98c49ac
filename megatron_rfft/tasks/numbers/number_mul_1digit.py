"""Multiplication of a long integer by one digit. The length is the long one's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def number_mul_1digit(num, factor):
    result = ""
    carry = 0
    while num:
        product = int(num[-1]) * factor + carry
        result = str(product % 10) + result
        carry = product // 10
        num = num[:-1]
    if carry:
        result = str(carry) + result
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), rng.randint(2, 9)


def reference(num: str, factor: int) -> str:
    return str(int(num) * factor)


register(
    number_mul_1digit,
    source="number_mul_1digit",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is {num} times {factor}?",
        "Multiply {num} by {factor}.",
        "What is the product of {num} and {factor}?",
    ],
)
