"""How often does a digit occur? Read from the last digit on. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_one


def count_digit_back(num, digit):
    count = 0
    while num:
        if num[-1] == digit:
            count += 1
        num = num[:-1]
    return count


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_one(rng, length)


def reference(num: str, digit: str) -> int:
    return num.count(digit)


register(
    count_digit_back,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How often does {digit} occur in {num} from the last digit on?",
        "Count the digit {digit} in {num} from the last digit on.",
        "Number: {num}. How many {digit} from the last digit on?",
    ],
)
