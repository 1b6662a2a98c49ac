"""A number from its first 6 on. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def from_six(num):
    count = 0
    while num and num[0] != "6":
        count += 1
        num = num[1:]
    return num


def instance(rng: Random, length: int) -> tuple:
    """Often the 6 comes last or not at all: counters reach the length, not a tenth of it."""
    num = random_digits(rng, length)
    if rng.random() < 0.7:
        num = num.replace("6", "7")
        if rng.random() < 0.6:
            num = num[:-1] + "6"
    return (num,)


def reference(num: str) -> str:
    return num[num.index("6") :] if "6" in num else ""


register(
    from_six,
    source="own",
    split="extra",
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
