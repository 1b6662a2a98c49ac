"""Maximum: the larger of two integers. The length is the larger one's number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits, random_digits_pair
from megatron_rfft.tasks.registry import register


def number_max_int(num1, num2):
    if len(num1) > len(num2):
        return num1
    if len(num1) < len(num2):
        return num2
    rest1 = num1
    rest2 = num2
    while rest1 and rest1[0] == rest2[0]:
        rest1 = rest1[1:]
        rest2 = rest2[1:]
    if rest1 and rest1[0] > rest2[0]:
        return num1
    return num2


def instance(rng: Random, length: int) -> tuple:
    if rng.random() < 0.2:
        return random_digits_pair(rng, length)
    # Equal first digits, any number of them, so that the first difference is not always near the start.
    num1 = random_digits(rng, length)
    same = rng.randrange(length)
    num2 = num1[:same] + random_digits(rng, length - same)
    return num1, num2


def reference(num1: str, num2: str) -> str:
    return str(max(int(num1), int(num2)))


register(
    number_max_int,
    source="number_max_int",
    role="extra",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Which number is larger, {num1} or {num2}? Write it down.",
        "Give the maximum of {num1} and {num2}.",
        "Of {num1} and {num2}, what is the greater one (either, if they are equal)?",
    ],
)
