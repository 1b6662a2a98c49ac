"""A number without its fives. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_rich_in


def drop_fives(num):
    result = ""
    while num:
        if num[0] != "5":
            result += num[0]
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_rich_in(rng, length, "5", "8"),)


def reference(num: str) -> str:
    return num.replace("5", "")


register(
    drop_fives,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["Remove every 5 from {num}.", "What is left of {num} without its fives?"],
)
