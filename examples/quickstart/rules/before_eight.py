"""How many digits come before a 8, from the last digit to the first? The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def before_eight(num):
    result = 0
    while num:
        if num[-1] == "8":
            return result
        result += 1
        num = num[:-1]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_until(rng, length, "8", from_end=True),)


def reference(num: str) -> int:
    num = num[::-1]
    return num.index("8") if "8" in num else len(num)


register(
    before_eight,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "How many digits of {num} come after its last 8?",
        "Counted from the end, where is the first 8 of the number {num}?",
        "Walk back through {num} to an 8 and count your steps.",
        "{num}: how many digits lie between the end and the nearest 8?",
        "Is there an 8 near the end? Say how many digits of {num} follow it.",
        "How many steps from the right does {num} need to reach an 8?",
    ],
)
