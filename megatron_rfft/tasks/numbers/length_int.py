"""Length: how many digits has an integer? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def length_int(num):
    result = 0
    while num:
        result += 1
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> int:
    return len(num)


register(
    length_int,
    source="nupa_length_int",
    role="held-out",
    valid_lengths=range(1, 101),
    instance=instance,
    reference=reference,
    questions=[
        "How many digits does the number {num} have?",
        "Count the digits of {num}.",
        "What is the number of digits in {num}?",
    ],
)
