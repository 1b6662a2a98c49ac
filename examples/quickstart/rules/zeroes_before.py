"""Count zeroes among the first digits. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_count, random_digits_of_few


def zeroes_before(num, position):
    place = 0
    zeroes = 0
    while place < position:
        if num[0] == "0":
            zeroes += 1
        num = num[1:]
        place += 1
    return zeroes


def instance(rng: Random, length: int) -> tuple:
    return random_digits_of_few(rng, length), random_count(rng, length)


def reference(num: str, position: int) -> int:
    return num[:position].count("0")


register(
    zeroes_before,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many zeroes are among the first {position} digits of {num}?",
        "Count the zeroes in {num} before position {position}.",
        "The number {num} is read for {position} digits. How many of them are 0?",
        "Before position {position} of {num}, starting at 0, how many zeroes stand there?",
        "How many zeroes of {num}, counted from the left, come before position {position}?",
        "Starting at the left, {position} digits of the number {num} are read. How many zeroes are read?",
        "If {position} is the number of digits to look at, how many zeroes does {num} begin its way with?",
        "{position} digits of {num} are looked at, from the left. How often is it a 0?",
        "The position is {position}, the number is {num}. How many zeroes stand before it?",
        "Look at {num} up to {position} digits. What is the number of zeroes there?",
        "How often does 0 stand in {num}, if only {position} digits at the front count?",
        "Of the digits of {num}, {position} at the front are checked for zeroes. How many are found?",
    ],
)
