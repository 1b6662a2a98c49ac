"""Take a digit for each number between two. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_count, random_digits


def take_between(num, start, stop):
    taken = ""
    while start < stop:
        taken += num[0]
        num = num[1:]
        start += 1
    return taken


def instance(rng: Random, length: int) -> tuple:
    start = rng.randint(0, 9)
    return random_digits(rng, length), start, start + random_count(rng, length)


def reference(num: str, start: int, stop: int) -> str:
    return num[: stop - start]


register(
    take_between,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Take a digit from the front of {num} for each number from {start} to {stop}, without {stop}.",
        "While you count from {start} to {stop}, a digit of the number {num} is taken at each step. Which are taken?",
        "Start: {start}. Stop: {stop}. For each step take a digit from the left of {num}. Which ones are taken?",
        "From {start}, count up to {stop} and write a digit of {num}, starting at the left, each time.",
        "If the count begins at {start} and ends before {stop}, which digits of {num} are taken on the way?",
        "{start} is the start, {stop} the stop. A digit at the front of {num} goes with each step. Which digits go?",
        "The number is {num}. Take its digits one by one while you count from {start} up to {stop}.",
        "Which digits does {num} give, one for each step from {start} to {stop}?",
        "Steps go from {start} to {stop}. Each takes the first digit that is left of {num}. Write them.",
        "Read a digit of {num} at {start}, one at the next number, and so on, but none at {stop}. What was read?",
    ],
)
