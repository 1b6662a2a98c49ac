"""Digit maximum: the larger digit at each place of two integers. The length is the longer one's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits_pair
from megatron_rfft.tasks.registry import register


def digit_max_int(num1, num2):
    result = ""
    while num1 or num2:
        digit1 = "0"
        if num1:
            digit1 = num1[-1]
            num1 = num1[:-1]
        digit2 = "0"
        if num2:
            digit2 = num2[-1]
            num2 = num2[:-1]
        result = max(digit1, digit2) + result
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_pair(rng, length)


def reference(num1: str, num2: str) -> str:
    width = max(len(num1), len(num2))
    pairs = zip(num1.zfill(width), num2.zfill(width), strict=True)
    return "".join(str(max(int(a), int(b))) for a, b in pairs)


register(
    digit_max_int,
    source="nupa_digit_max_int",
    role="held-out",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Align {num1} and {num2} at their last digits and take the larger digit at each place, "
        "a missing digit being 0. Which number results?",
        "Compare {num1} with {num2} place by place from the ones upwards and keep the larger digit of each place; "
        "an absent digit counts as 0. What number is left?",
        "What is the digit-wise maximum of {num1} and {num2}?",
    ],
)
