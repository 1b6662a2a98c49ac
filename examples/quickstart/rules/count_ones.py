"""How many ones does a number have, counted on from a number? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_rich_in


def count_ones(num, start):
    result = start
    while num:
        if num[0] == "1":
            result += 1
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_rich_in(rng, length, "1", "6"), rng.randint(0, 9)


def reference(num: str, start: int) -> int:
    return start + num.count("1")


register(
    count_ones,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Start at {start} and add the ones of {num}, each as 1. What do you have?",
        "Count on from {start} for each digit 1 in {num}.",
        "There were {start} ones. How many are there with those in the number {num}?",
        "Number: {num}. Each of its ones makes {start} larger by one. What does it become?",
        "Read {num} and count each 1, beginning with {start}. What is the count?",
        "If only ones count, and {start} are there already, how many are there after {num}?",
    ],
)
