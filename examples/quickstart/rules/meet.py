"""Two numbers move towards each other. The length bounds their distance."""

from random import Random

from megatron_rfft.tasks import register
from megatron_rfft.tasks.digits import random_gap


def meet(first, second):
    while first < second:
        first += 1
        second -= 1
    return first


def instance(rng: Random, length: int) -> tuple:
    return random_gap(rng, min(length, 6))


def reference(first: int, second: int) -> int:
    return first + (second - first + 1) // 2


register(
    meet,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Walkers at {first} and {second} go towards each other step by step. Where does the first one end?",
        "{first} goes up and {second} goes down until they meet. Where is the lower one then?",
        "The numbers {first} and {second} come closer by one each. Where does the first stop?",
        "From {first} upwards and from {second} downwards at the same pace: where does the way up end?",
    ],
)
