"""Does a digit occur an even number of times? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_one


def is_even_often(num, digit):
    even = True
    while num:
        if num[0] == digit:
            even = not even
        num = num[1:]
    return even


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_one(rng, length)


def reference(num: str, digit: str) -> bool:
    return num.count(digit) % 2 == 0


register(
    is_even_often,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["Does {digit} occur an even number of times in {num}?", "Is the number of {digit} in {num} even?"],
)
