"""Does a number have an even number of ones? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_rich_in


def even_ones(num):
    even = True
    while num:
        if num[0] == "1":
            even = not even
        num = num[1:]
    return even


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_rich_in(rng, length, "1", "4"),)


def reference(num: str) -> bool:
    return num.count("1") % 2 == 0


register(
    even_ones,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Does {num} have an even number of ones?",
        "Is the count of the digit 1 in {num} even?",
        "A switch is on and every 1 turns it. Is it on after the number {num}?",
        "{num} holds some ones. Do they come in pairs?",
        "True or false: the ones of {num} are even in number.",
        "Say whether the digit 1 occurs an even number of times, given {num}.",
    ],
)
