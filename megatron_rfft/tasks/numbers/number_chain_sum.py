"""Chain sum: add up positive and negative integers. The length is the number of terms."""

from random import Random

from megatron_rfft.tasks.registry import register


def number_chain_sum(terms):
    total = 0
    while terms:
        total += terms.pop(0)
    return total


def instance(rng: Random, length: int) -> tuple:
    return ([rng.choice([-1, 1]) * rng.randint(1, 99) for _ in range(length)],)


def reference(terms: list[int]) -> int:
    return sum(terms)


register(
    number_chain_sum,
    source="number_chain_sum",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "What is the sum of all these terms? terms = {terms}",
        "Add up the numbers, minding their signs. terms = {terms}",
        "A counter shows 0 and is changed by each of these numbers in turn. What does it show in the end? "
        "terms = {terms}",
    ],
)
