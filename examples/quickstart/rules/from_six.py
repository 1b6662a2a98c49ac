"""A number from its first 6 on. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def from_six(num):
    count = 0
    while num and num[0] != "6":
        count += 1
        num = num[1:]
    return num


def instance(rng: Random, length: int) -> tuple:
    return (random_digits_until(rng, length, "6"),)


def reference(num: str) -> str:
    return num[num.index("6") :] if "6" in num else ""


register(
    from_six,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What remains of {num} from the first 6 on?",
        "Take digits off {num} until a 6 comes.",
        "Cut the number {num} before its first 6 and give the rest.",
        "{num} loses its digits one by one, but stops losing them at a 6. What is left?",
        "Everything in {num} before a 6 goes. Write the rest.",
        "Which part begins with the first 6? The number: {num}.",
    ],
)
