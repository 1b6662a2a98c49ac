"""Digit minimum: the smaller digit at each place of two integers. The length is the longer one's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits_pair
from megatron_rfft.tasks.registry import register


def number_digit_min(num1, num2):
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
        result = min(digit1, digit2) + result
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_pair(rng, length)


def reference(num1: str, num2: str) -> str:
    width = max(len(num1), len(num2))
    pairs = zip(num1.zfill(width), num2.zfill(width), strict=True)
    return "".join(str(min(int(a), int(b))) for a, b in pairs)


register(
    number_digit_min,
    source="number_digit_min",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Align {num1} and {num2} at their last digits and take the smaller digit at each place, a missing digit being "
        "0. Which digits result, zeros in front included?",
        "Compare {num1} with {num2} place by place from the ones upwards and keep the smaller digit of each place; an "
        "absent digit counts as 0. Write down all digits kept, leading zeros too.",
        "What is the digit-wise minimum of {num1} and {num2}, with as many digits as the longer of them?",
    ],
)
