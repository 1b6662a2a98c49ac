"""The digit behind the first 3 of a number, which has one. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def behind_three(num):
    while num[0] != "3":
        num = num[1:]
    num = num[1:]
    return int(num[0])


def instance(rng: Random, length: int) -> tuple:
    num, place = random_digits(rng, length).replace("3", "4"), rng.randrange(length - 1)
    return (num[:place] + "3" + num[place + 1 :],)


def reference(num: str) -> int:
    return int(num[num.index("3") + 1])


register(
    behind_three,
    source="own",
    role="extra",
    valid_lengths=range(2, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which digit comes right behind the first 3 in {num}?",
        "Look for the 3 in {num}. What is the next digit?",
        "Number: {num}. Name the digit that follows its first 3.",
        "In {num}, read up to the 3 and one digit on. Which digit is that?",
    ],
)
