"""Length of a decimal: how many digits, the point not counted? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_decimal
from megatron_rfft.tasks.registry import register


def number_length_float(num):
    result = 0
    while num:
        if num[0] != ".":
            result += 1
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (random_decimal(rng, length),)


def reference(num: str) -> int:
    return len(num.replace(".", ""))


register(
    number_length_float,
    source="number_length_float",
    role="extra",
    valid_lengths=range(2, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many digits does {num} have, before and after the point together?",
        "Count the digits of {num}; the decimal point is none.",
        "With how many digits is the decimal {num} written?",
    ],
)
