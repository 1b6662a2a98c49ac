"""Subtraction of a smaller integer from a larger one. The length is the larger one's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits, random_digits_pair
from megatron_rfft.tasks.registry import register


def number_sub_int(num1, num2):
    result = ""
    borrow = 0
    while num1:
        digit = int(num1[-1]) - borrow
        num1 = num1[:-1]
        if num2:
            digit -= int(num2[-1])
            num2 = num2[:-1]
        borrow = 0
        if digit < 0:
            digit += 10
            borrow = 1
        result = str(digit) + result
    while len(result) > 1 and result[0] == "0":
        result = result[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    if rng.random() < 0.8:
        pair = random_digits_pair(rng, length)
    else:  # equal first digits, so that the difference is shorter
        num1 = random_digits(rng, length)
        same = rng.randint(1, length)
        pair = num1, num1[:same] + "".join(rng.choices("0123456789", k=length - same))
    num2, num1 = sorted(pair, key=int)
    return num1, num2


def reference(num1: str, num2: str) -> str:
    return str(int(num1) - int(num2))


register(
    number_sub_int,
    source="number_sub_int",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is {num1} - {num2}?",
        "Subtract {num2} from {num1}.",
        "What is left of {num1} if you take {num2} away?",
    ],
)
