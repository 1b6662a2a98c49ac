"""House robber: the largest sum without two neighbours. The length is the number of houses."""

from functools import cache
from random import Random

from megatron_rfft.tasks.registry import register


def alg_house_robber(houses):
    taken = 0
    skipped = 0
    while houses:
        amount = houses.pop(0)
        taken, skipped = skipped + amount, max(taken, skipped)
    return max(taken, skipped)


def instance(rng: Random, length: int) -> tuple:
    largest = rng.choice([9, 20, 50])
    return ([rng.randint(0, largest) for _ in range(length)],)


def reference(houses: list[int]) -> int:
    """From each house either to the one after the next, with what is in it, or to the next one."""

    @cache
    def best(start: int) -> int:
        return max(houses[start] + best(start + 2), best(start + 1)) if start < len(houses) else 0

    return best(0)


register(
    alg_house_robber,
    source="alg_house_robber",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Choose numbers of this list, no two of them neighbours, so that their sum is as large as possible. "
        "What is the sum? houses = {houses}",
        "Along a street you may collect the amount of a house, but never from two houses next to each other. "
        "How much can you get at most? houses = {houses}",
        "What is the largest possible sum of numbers of the list of which no two stand side by side? houses = {houses}",
    ],
)
