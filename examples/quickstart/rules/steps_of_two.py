"""Two for each digit before the first such digit. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_stop


def steps_of_two(num, stop):
    total = 0
    while num and num[0] != stop:
        total += 2
        num = num[1:]
    return total


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_stop(rng, length)


def reference(num: str, stop: str) -> int:
    return 2 * (num.index(stop) if stop in num else len(num))


register(
    steps_of_two,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Count in steps of two the digits of {num} before the first {stop}.",
        "Two points for each digit of {num} until a {stop} comes. How many points?",
    ],
)
