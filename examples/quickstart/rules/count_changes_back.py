"""How many runs of equal digits does a number have, read from its end? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def count_changes_back(num):
    result = 0
    last = ""
    while num:
        if num[-1] != last:
            result += 1
            last = num[-1]
        num = num[:-1]
    return result


def instance(rng: Random, length: int) -> tuple:
    if rng.random() < 0.5:
        return (random_digits(rng, length),)
    return ("".join(rng.choices("0123456789"[: rng.randint(1, 10)], k=length)),)


def reference(num: str) -> int:
    return sum(a != b for a, b in zip("." + num, num, strict=False))


register(
    count_changes_back,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many runs of equal digits does {num} have from the last digit on?",
        "In {num}, how often does a new digit begin from the last digit on?",
    ],
)
