"""Baggage: what do the bags of a passenger cost? The length is the number of bags."""

from random import Random

from megatron_rfft.tasks.registry import register

FEES = (
    "The first bag is free, the second costs 40 and each further one 75. On top of that, a bag heavier than 23 kg "
    "costs 60, or 120 if it is heavier than 32 kg, and a bag larger than 158 cm costs 90. "
)


def logic_baggage(bags):
    total = 0
    number = 0
    while bags:
        weight, size = bags.pop(0)
        number += 1
        if number > 2:
            total += 75
        elif number == 2:
            total += 40
        if weight > 32:
            total += 120
        elif weight > 23:
            total += 60
        if size > 158:
            total += 90
    return total


def instance(rng: Random, length: int) -> tuple:
    return ([random_bag(rng) for _ in range(length)],)


def random_bag(rng: Random) -> list[int]:
    """Its weight and size, now and then right at a limit."""
    weight = rng.choice([23, 32] + 6 * [rng.randint(5, 45)])
    size = rng.choice([158] + 6 * [rng.randint(90, 230)])
    return [weight, size]


def reference(bags: list[list[int]]) -> int:
    heavy = sum(weight > limit for weight, _ in bags for limit in (23, 32))
    large = sum(size > 158 for _, size in bags)
    return sum([0, 40][: len(bags)]) + 75 * max(0, len(bags) - 2) + 60 * heavy + 90 * large


register(
    logic_baggage,
    source="logic_baggage",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        FEES + "What does a passenger pay for these bags, given as [kg, cm] in this order? bags = {bags}",
        FEES + "Each bag is [weight in kg, size in cm]. How much is the fee for all of them? bags = {bags}",
        "An airline's fees: " + FEES + "What is the total for these bags of [kg, cm]? bags = {bags}",
    ],
)
