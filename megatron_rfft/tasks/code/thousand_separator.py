"""Thousand Separator: a dot before every three digits from the right. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks.digits import random_digits
from megatron_rfft.tasks.registry import register


def thousand_separator(num):
    result = ""
    while len(num) > 3:
        result = "." + num[-3:] + result
        num = num[:-3]
    return num + result


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> str:
    return f"{int(num):,}".replace(",", ".")


register(
    thousand_separator,
    source="lc_1556",
    role="pretrain",
    valid_lengths=range(1, 101),
    instance=instance,
    reference=reference,
    questions=[
        "Write {num} with a dot as the thousands separator.",
        "Group the digits of {num} in threes from the right, with a dot between groups.",
        "How is {num} written if a dot sets off every three digits, counted from the end?",
    ],
)
