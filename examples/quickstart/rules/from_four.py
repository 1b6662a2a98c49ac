"""A number from its first 4 on, from the last digit to the first. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def from_four(num):
    count = 0
    while num and num[-1] != "4":
        count += 1
        num = num[:-1]
    return num


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_until(rng, length, "4", from_end=True),)


def reference(num: str) -> str:
    return num[: num.rindex("4") + 1] if "4" in num else ""


register(
    from_four,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What remains of {num} up to its last 4?",
        "Take digits off the end of {num} until a 4 comes.",
        "The number {num} is cut behind its last 4. Which part stays?",
        "{num} loses its last digits, but none from a 4 on. What is left?",
        "Keep the digits through the last 4, given {num}.",
        "From the right, delete digits in {num} until there is a 4.",
    ],
)
