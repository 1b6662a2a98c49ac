"""The first digit of a number, found from its end. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits


def first_digit(num):
    while len(num) > 1:
        num = num[:-1]
    return int(num[0])


def instance(rng: Random, length: int) -> tuple:
    return (random_digits(rng, length),)


def reference(num: str) -> int:
    return int(num[:1])


register(
    first_digit,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is the first digit of {num}?",
        "Which digit does {num} begin with?",
        "Read {num} from its end back to its beginning. Which digit is there?",
        "Take digits off the end of {num} until one is left. Which one is it?",
    ],
)
