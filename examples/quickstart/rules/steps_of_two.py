"""Two for each digit before a seven. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def steps_of_two(num):
    total = 0
    while num and num[0] != "7":
        total += 2
        num = num[1:]
    return total


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_until(rng, length, "7"),)


def reference(num: str) -> int:
    return 2 * (num.index("7") if "7" in num else len(num))


register(
    steps_of_two,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Count the digits of {num} before the first 7 in steps of two.",
        "Two points for each digit of {num} until a 7 comes. How many points?",
        "Every digit of the number {num} is worth 2; a 7 ends the game. What is the score?",
        "{num} pays two for a digit and stops at a 7. How much does it pay?",
        "Up to a 7, each digit adds two. What does {num} add up to?",
        "Give twice the number of digits that {num} has before a 7.",
    ],
)
