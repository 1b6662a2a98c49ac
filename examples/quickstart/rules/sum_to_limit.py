"""The sum of the first digits, up to a limit. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def sum_to_limit(num, limit):
    total = 0
    while num and total < limit:
        total += int(num[0])
        num = num[1:]
    return total


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), rng.randint(5, 35)


def reference(num: str, limit: int) -> int:
    total = 0
    for value in num:
        if total >= limit:
            break
        total += int(value)
    return total


register(
    sum_to_limit,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Add the digits of {num} from the left until the sum is at least {limit}. What is the sum?",
        "Which sum of first digits of {num} reaches {limit}?",
    ],
)
