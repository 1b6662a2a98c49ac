"""A number without its twos, from the last digit to the first. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_rich_in


def drop_twos(num):
    result = ""
    while num:
        if num[-1] != "2":
            result = num[-1] + result
        num = num[:-1]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_rich_in(rng, length, "2", "5"),)


def reference(num: str) -> str:
    return num.replace("2", "")


register(
    drop_twos,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Remove every 2 from {num}. Begin at the last digit.",
        "What is left of {num} without its twos? Begin at the last digit.",
    ],
)
