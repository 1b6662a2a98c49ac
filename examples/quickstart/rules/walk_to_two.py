"""Walk over the digits of a number to the first 2, from a place on. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_digits_until


def walk_to_two(num, place):
    while num and num[0] != "2":
        place += 1
        num = num[1:]
    return place


def instance(rng: Random, length: int) -> tuple:
    return random_digits_until(rng, length, "2"), rng.randint(1, 8)


def reference(num: str, place: int) -> int:
    return place + (num.index("2") if "2" in num else len(num))


register(
    walk_to_two,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "You stand at place {place} and walk over the digits of {num} to a 2. Where do you stop?",
        "From {place}, go up by one for each digit of {num}, but stop at a 2. What number is it?",
        "Each digit of {num} before the first 2 adds one to {place}. What is the result?",
        "The number {num} is read up to a 2. Count its digits from {place} on.",
        "Place: {place}. Number: {num}. A step for each digit until there is a 2: which place?",
        "Starting at {place}, {num} moves you on by a digit at a time. A 2 stops you. Where?",
    ],
)
