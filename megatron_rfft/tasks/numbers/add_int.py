"""Addition of two integers, one place at a time. The length is the longer one's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits_pair
from megatron_rfft.tasks.registry import register


def add_int(num1, num2):
    result = ""
    carry = 0
    while num1 or num2 or carry:
        total = carry
        if num1:
            total += int(num1[-1])
            num1 = num1[:-1]
        if num2:
            total += int(num2[-1])
            num2 = num2[:-1]
        result = str(total % 10) + result
        carry = total // 10
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_pair(rng, length)


def reference(num1: str, num2: str) -> str:
    return str(int(num1) + int(num2))


register(
    add_int,
    source="nupa_add_int",
    role="held-out",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "What is {num1} + {num2}?",
        "Add {num1} and {num2}.",
        "What is the sum of {num1} and {num2}?",
    ],
)
