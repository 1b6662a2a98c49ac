"""Tracking shuffled objects: what does a person hold after swaps? The length is the number of swaps."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES, OBJECTS


def logic_tracking_shuffled(holdings, swaps, person):
    while swaps:
        one, other = swaps.pop(0)
        holdings[one], holdings[other] = holdings[other], holdings[one]
    return holdings[person]


def instance(rng: Random, length: int) -> tuple:
    num_people = rng.randint(3, 7)
    people = rng.sample(NAMES, num_people)
    holdings = dict(zip(people, rng.sample(OBJECTS, num_people), strict=True))
    return holdings, [rng.sample(people, 2) for _ in range(length)], rng.choice(people)


def reference(holdings: dict[str, str], swaps: list[list[str]], person: str) -> str:
    """Backwards: from whom did the object that the person holds come?"""
    for swap in reversed(swaps):
        if person in swap:
            person = swap[1 - swap.index(person)]
    return holdings[person]


register(
    logic_tracking_shuffled,
    source="logic_tracking_shuffled",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Each person holds something; then pairs of people swap what they hold, one pair after the other. "
        "What does {person} hold at the end? holdings = {holdings}, swaps = {swaps}",
        "Friends trade presents: in each swap two of them exchange what they have at that moment. "
        "Which present does {person} end up with? holdings = {holdings}, swaps = {swaps}",
        "Follow these swaps of belongings between two people each. "
        "What is in {person}'s hands after the last one? holdings = {holdings}, swaps = {swaps}",
    ],
)
