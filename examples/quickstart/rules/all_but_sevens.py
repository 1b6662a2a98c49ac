"""How many digits of a number, read from its end, are not 7? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_rich_in


def all_but_sevens(num):
    total = 0
    while num:
        if num[-1] != "7":
            total += 1
        num = num[:-1]
    return total


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_rich_in(rng, length, rng.choice("0123456789"), "7"),)


def reference(num: str) -> int:
    return len(num) - num.count("7")


register(
    all_but_sevens,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many digits of {num} are not 7?",
        "Leave out each 7 of {num}. How many digits are left?",
        "Count the digits of the number {num}, but no 7.",
        "Number: {num}. Without its sevens, how long is it?",
        "Read {num} from its end and count what is not a 7. What is the count?",
        "If a 7 does not count, how many digits of {num} count?",
    ],
)
