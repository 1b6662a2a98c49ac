"""Replace the first digits by zeroes, moving them to the end. The length is the number of digits."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_count, random_digits


def blank_first(num, zeroes):
    i = 0
    filler = ""
    while i < zeroes:
        num = num[1:]
        filler += "0"
        i += 1
    return num + filler


def instance(rng: Random, length: int) -> tuple:
    return random_digits(rng, length), random_count(rng, length)


def reference(num: str, zeroes: int) -> str:
    return num[zeroes:] + "0" * zeroes


register(
    blank_first,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Drop {zeroes} digits at the front of {num} and add as many zeroes at its end.",
        "Shift {num} to the left {zeroes} times, with a 0 coming in each time.",
        "What is the number {num} after {zeroes} shifts to the left, filled up with zeroes?",
        "Which number stands there after {zeroes} steps of {num} to the left, zeroes following?",
        "Number: {num}. Move it {zeroes} places to the left, starting at its front, and write zeroes behind.",
        "To {num} come {zeroes} zeroes at the end, and as many digits go at the front. What is it?",
    ],
)
