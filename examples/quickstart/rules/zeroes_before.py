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
    ],
)
