"""A number without one of its digits, read from its end. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_one


def drop_digit_back(num, digit):
    result = ""
    while num:
        if num[-1] != digit:
            result = num[-1] + result
        num = num[:-1]
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_one(rng, length)


def reference(num: str, digit: str) -> str:
    return num.replace(digit, "")


register(
    drop_digit_back,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Remove every {digit} from {num} from the last digit on.",
        "What is left of {num} without the digit {digit} from the last digit on?",
        "Leave each {digit} out from the last digit on. The number is {num}.",
    ],
)
