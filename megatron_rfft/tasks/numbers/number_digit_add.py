"""Digit sums without carry: add two integers place by place, modulo 10. The length is the longer one's digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits_pair
from megatron_rfft.tasks.registry import register


def number_digit_add(num1, num2):
    result = ""
    while num1 or num2:
        total = 0
        if num1:
            total += int(num1[-1])
            num1 = num1[:-1]
        if num2:
            total += int(num2[-1])
            num2 = num2[:-1]
        result = str(total % 10) + result
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_pair(rng, length)


def reference(num1: str, num2: str) -> str:
    width = max(len(num1), len(num2))
    pairs = zip(num1.zfill(width), num2.zfill(width), strict=True)
    return "".join(str(int(a) + int(b))[-1] for a, b in pairs)


register(
    number_digit_add,
    source="number_digit_add",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Add {num1} and {num2} without ever carrying: at each place, counted from the ones, write the last digit of "
        "the sum of both digits. Which digits result, zeros in front included?",
        "Align {num1} and {num2} at their last digits and add them place by place modulo 10, a missing digit being 0. "
        "Give all digits, leading zeros too.",
        "What do you get for {num1} plus {num2} if every carry is forgotten? Write as many digits as the longer "
        "number has.",
    ],
)
