"""The larger one of two numbers. The length changes nothing."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_numbers_alike


def larger(first, second):
    if first < second:
        return second
    return first


def instance(rng: Random, length: int) -> tuple:
    return random_numbers_alike(rng)


def reference(first: int, second: int) -> int:
    return max(first, second)


register(
    larger,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Which one is larger, {first} or {second}?",
        "One number is {first}, the other is {second}. Name the larger one.",
        "Out of {first} and {second}, take the number that is not smaller.",
        "{second} or {first}: what is the larger number?",
    ],
)
