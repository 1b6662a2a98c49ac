"""How many digits come before a 3? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def before_three(num):
    result = 0
    while num:
        if num[0] == "3":
            return result
        result += 1
        num = num[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_until(rng, length, "3"),)


def reference(num: str) -> int:
    return num.index("3") if "3" in num else len(num)


register(
    before_three,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many digits of {num} come before a 3?",
        "Where does the first 3 stand in {num}?",
        "Look for a 3 from the left: {num}. How many digits did you pass?",
        "The number {num} is read up to a 3. How many digits are read before it?",
        "Before the first 3, how many digits has {num}?",
        "{num} may hold a 3. How far is it from the front?",
    ],
)
