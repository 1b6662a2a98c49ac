"""How many ones does a number have? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_rich_in


def count_ones(num):
    result = 0
    while num:
        if num[0] == "1":
            result += 1
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_rich_in(rng, length, "1", "6"),)


def reference(num: str) -> int:
    return num.count("1")


register(
    count_ones,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many ones are there in {num}?",
        "Count the digit 1 in {num}.",
        "How often does a 1 stand in the number {num}?",
        "Number: {num}. What is the number of its ones?",
        "Read {num} and count each 1. What is the count?",
        "If only ones count, how many digits of {num} count?",
    ],
)
