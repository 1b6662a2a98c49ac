"""How many digits are larger than a limit? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def count_larger(num, limit):
    result = 0
    while num:
        if num[0] > limit:
            result += 1
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    num = random_digits(rng, length)
    return num, rng.choice(num) if rng.random() < 0.8 else str(rng.randrange(10))


def reference(num: str, limit: str) -> int:
    return sum(digit > limit for digit in num)


register(
    count_larger,
    source="own",
    split="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["How many digits of {num} are larger than {limit}?", "Count the digits above {limit} in {num}."],
)
