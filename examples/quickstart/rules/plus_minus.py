"""Digits are added, or subtracted; one digit turns the one into the other. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_and_one


def plus_minus(num, digit):
    total = 0
    sign = 1
    while num:
        if num[0] == digit:
            sign = -sign
        total += sign * int(num[0])
        num = num[1:]
    return total


def instance(rng: Random, length: int) -> tuple:
    return random_digits_and_one(rng, length, kinds=(3, 6, 10))


def reference(num: str, digit: str) -> int:
    total, sign = 0, 1
    for value in num:
        sign = -sign if value == digit else sign
        total += sign * int(value)
    return total


register(
    plus_minus,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Add the digits of {num}. Each {digit} turns adding into subtracting, and back.",
        "Add and subtract the digits of {num}; change over at each {digit}. What comes out?",
    ],
)
