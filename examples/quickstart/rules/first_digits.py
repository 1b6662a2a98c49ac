"""Keep the first digits of a number. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_count, random_digits


def first_digits(num, size):
    taken = 0
    result = ""
    while taken < size:
        result += num[0]
        num = num[1:]
        taken += 1
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), random_count(rng, length)


def reference(num: str, size: int) -> str:
    return num[:size]


register(
    first_digits,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write the first {size} digits of {num}.",
        "Of {num} keep {size} digits from the left.",
        "Number: {num}. Which are its first {size} digits?",
        "With a size of {size}, which digits are taken from the front of {num}?",
        "From the number {num}, counted from the left, take {size} digits.",
        "Which digits stand first if {size} of {num} are written?",
        "If {size} digits of {num} are read from the left, which are they?",
        "{size} digits are copied from the beginning of {num}. Which ones?",
        "Which digits does {num} begin with, if you look at {size} of them?",
        "Read {num} up to {size} digits and no further. What was read?",
        "The number of digits to write is {size}, the number is {num}. Which ones come first?",
        "Say the digits of {num} one by one and stop after {size}.",
    ],
)
