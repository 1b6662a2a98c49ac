"""The last digit but one of a number; of one digit, that one. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def tens_digit(num):
    while len(num) > 2:
        num = num[1:]
    return int(num[0])


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> int:
    return int(num[-2:][0])


register(
    tens_digit,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is the last digit but one of {num}?",
        "Which digit of {num} counts the tens? Of one digit, take that one.",
        "Leave out the front of {num} until two digits are left at most. Which one comes first then?",
        "Number: {num}. Which digit stands before the last one?",
    ],
)
