"""Write the numbers below another. There are at most as many as the length, and at most three."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def write_up(low, high):
    result = ""
    while low < high:
        result += str(low)
        low += 1
    return result


def instance(rng: Random, length: int) -> tuple:
    return random_gap(rng, min(length, 3))


def reference(low: int, high: int) -> str:
    return "".join(map(str, range(low, high)))


register(
    write_up,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write the numbers from {low} up to {high}, without the last one.",
        "Start at {low} and write each number below {high}.",
        "Which numbers follow one another from {low}, ending before {high}?",
        "Below {high}, but not below {low}: write these numbers side by side.",
    ],
)
