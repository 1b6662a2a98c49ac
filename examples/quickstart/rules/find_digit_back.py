"""How many digits come after the last such digit? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_stop


def find_digit_back(num, digit):
    result = 0
    while num:
        if num[-1] == digit:
            return result
        result += 1
        num = num[:-1]
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_stop(rng, length, from_end=True)


def reference(num: str, digit: str) -> int:
    num = num[::-1]
    return num.index(digit) if digit in num else len(num)


register(
    find_digit_back,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Where in {num} is the first {digit} from the last digit on?",
        "At which place of {num} does {digit} come first from the last digit on?",
        "How many other digits stand before a {digit} from the last digit on? {num}",
    ],
)
