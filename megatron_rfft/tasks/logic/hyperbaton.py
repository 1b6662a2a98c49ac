"""Hyperbaton: do the adjectives stand in the order of English? The length is the number of adjectives."""

from random import Random

from megatron_rfft.tasks.adjectives import ADJECTIVES
from megatron_rfft.tasks.registry import register

ORDER = ", ".join(ADJECTIVES)


def hyperbaton(adjectives):
    places = {"opinion": 1, "size": 2, "age": 3, "shape": 4, "color": 5, "origin": 6, "material": 7, "purpose": 8}
    last = 0
    while adjectives:
        adjective = adjectives.pop(0)
        place = places[adjective[1]]
        if place < last:
            return False
        last = place
    return True


def instance(rng: Random, length: int) -> tuple:
    kinds = sorted(rng.sample(list(ADJECTIVES), length), key=list(ADJECTIVES).index)
    if rng.random() < 0.5:
        i, j = rng.sample(range(length), 2)
        kinds[i], kinds[j] = kinds[j], kinds[i]
    return ([[rng.choice(ADJECTIVES[kind]), kind] for kind in kinds],)


def reference(adjectives: list[list[str]]) -> bool:
    kinds = [kind for _, kind in adjectives]
    return kinds == [kind for kind in ADJECTIVES if kind in kinds]


register(
    hyperbaton,
    source="bbh_hyperbaton",
    role="pretrain",
    valid_lengths=range(2, len(ADJECTIVES) + 1),  # one adjective of a kind at most
    instance=instance,
    reference=reference,
    questions=[
        f"English puts adjectives before a noun in this order of kinds: {ORDER}. "
        "Are these adjectives, given with their kinds, in the right order? adjectives = {adjectives}",
        "Each adjective is listed with its kind. Do they follow one another as they should in English, "
        f"that is {ORDER}? adjectives = {{adjectives}}",
        f"The right order of adjectives is {ORDER}. Does this list keep to it? adjectives = {{adjectives}}",
    ],
)
