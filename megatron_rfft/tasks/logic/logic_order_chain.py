"""Order: at which place of a row does a person stand when all have joined? The length is the number of newcomers."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import FEW_NAMES


def logic_order_chain(arrivals, person):
    row = []
    while arrivals:
        name, num_left = arrivals.pop(0)
        row.insert(num_left, name)
    place = 1
    while row[0] != person:
        row.pop(0)
        place += 1
    return place


def instance(rng: Random, length: int) -> tuple:
    names = rng.sample(FEW_NAMES, length)
    return [[name, rng.randint(0, i)] for i, name in enumerate(names)], rng.choice(names)


def reference(arrivals: list[list], person: str) -> int:
    """Only the person's own place counts: it moves on by one for each later one who joins on the left."""
    place = 0
    for name, num_left in arrivals:
        if name == person:
            place = num_left + 1
        elif place and num_left < place:
            place += 1
    return place


register(
    logic_order_chain,
    source="logic_order_chain",
    role="extra",
    valid_lengths=range(1, 36),
    instance=instance,
    reference=reference,
    questions=[
        "People join a row one after the other, each given with the number of those who then stand on the left of the "
        "newcomer. At which place from the left, the first being 1, does {person} stand in the end? arrivals = "
        "{arrivals}",
        "A row is empty at first. An arrival [name, k] steps in so that exactly k people are to the left, and all "
        "others to the right. What is the place of {person}, counted from the left and from 1, when all have arrived? "
        "arrivals = {arrivals}",
        "Each of these people enters the queue behind the given number of people and in front of all others. Which "
        "place, beginning with 1 at the front, does {person} have after the last one has come? arrivals = {arrivals}",
    ],
)
