"""Maximum of two decimals. The length is the longer one's number of digits."""

from decimal import Decimal
from random import Random

from megatron_rfft.tasks.digits import random_decimal
from megatron_rfft.tasks.registry import register


def number_max_float(num1, num2):
    whole1 = 0
    while num1[whole1] != ".":
        whole1 += 1
    whole2 = 0
    while num2[whole2] != ".":
        whole2 += 1
    if whole1 > whole2:
        return num1
    if whole1 < whole2:
        return num2
    rest1 = num1
    rest2 = num2
    while rest1 and rest2 and rest1[0] == rest2[0]:
        rest1 = rest1[1:]
        rest2 = rest2[1:]
    if rest1 == "":
        return num2
    if rest2 == "" or rest1[0] > rest2[0]:
        return num1
    return num2


def instance(rng: Random, length: int) -> tuple:
    """Mostly the same digits at the start, any number of them, and often a different number of decimals."""
    num1 = random_decimal(rng, length)
    num2 = random_decimal(rng, rng.randint(2, length))
    if rng.random() < 0.8:
        point = num1.index(".")
        same = rng.randint(0, length)
        shorter = rng.randint(max(same, point + 2), length + 1)
        num2 = "".join(c if i < same or c == "." else str(rng.randint(1, 9)) for i, c in enumerate(num1))[:shorter]
    pair = [no_zero_at_end(num1), no_zero_at_end(num2)]
    rng.shuffle(pair)
    return tuple(pair)


def no_zero_at_end(num: str) -> str:
    """So that of two decimals with the same start the longer one is larger."""
    return num[:-1] + "5" if num.endswith("0") else num


def reference(num1: str, num2: str) -> str:
    return max(num1, num2, key=Decimal)


register(
    number_max_float,
    source="number_max_float",
    role="extra",
    version=2,
    valid_lengths=range(2, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Which number is larger, {num1} or {num2}? Write it down.",
        "Give the maximum of the decimals {num1} and {num2}.",
        "Of {num1} and {num2}, what is the greater one (either, if they are equal)?",
    ],
)
