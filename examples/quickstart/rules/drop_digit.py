"""A number without one of its digits. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_one


def drop_digit(num, digit):
    result = ""
    while num:
        if num[0] != digit:
            result += num[0]
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_one(rng, length)


def reference(num: str, digit: str) -> str:
    return num.replace(digit, "")


register(
    drop_digit,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Remove every {digit} from {num}.",
        "What is left of {num} without the digit {digit}?",
        "Leave each {digit} out. The number is {num}.",
    ],
)
