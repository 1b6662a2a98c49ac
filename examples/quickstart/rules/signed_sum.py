"""Small digits are added, large ones subtracted. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def signed_sum(num):
    total = 0
    while num:
        if num[0] > "4":
            total -= int(num[0])
        else:
            total += int(num[0])
        num = num[1:]
    return total


def instance(rng: Random, length: int) -> tuple:
    if rng.random() < 0.3:
        return (random_digits(rng, length),)
    return ("".join(rng.choice("01234" if rng.random() < 0.6 else "56789") for _ in range(length)),)


def reference(num: str) -> int:
    return sum(-int(d) if d > "4" else int(d) for d in num)


register(
    signed_sum,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Add the digits of {num} up to 4 and subtract the larger ones.",
        "In {num}, digits above 4 count as negative. What is the sum?",
    ],
)
