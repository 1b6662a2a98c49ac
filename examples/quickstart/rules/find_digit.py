"""How many digits come before the first such digit? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_stop


def find_digit(num, digit):
    result = 0
    while num:
        if num[0] == digit:
            return result
        result += 1
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_stop(rng, length)


def reference(num: str, digit: str) -> int:
    return num.index(digit) if digit in num else len(num)


register(
    find_digit,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Where in {num} is the first {digit}?",
        "At which place of {num} does {digit} come first?",
        "How many other digits stand before a {digit}? {num}",
    ],
)
