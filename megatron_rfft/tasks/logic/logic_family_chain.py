"""Family chain: who is the earliest known ancestor? The length is the number of generations to that one."""

from itertools import pairwise
from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES


def logic_family_chain(parents, person):
    while person in parents:
        person = parents[person]
    return person


def instance(rng: Random, length: int) -> tuple:
    """Two families that are told in disorder, the other one about as large."""
    other = rng.randint(max(1, length - 3), length + 3)
    people = rng.sample(NAMES, length + 1 + other + 1)
    links = [*pairwise(people[: length + 1]), *pairwise(people[length + 1 :])]
    rng.shuffle(links)
    return dict(links), people[0]


def reference(parents: dict[str, str], person: str) -> str:
    """From the top down: the ancestor that belongs to none and whose line of children ends in the person."""
    children = {parent: child for child, parent in parents.items()}
    for top in children.keys() - parents.keys():
        descendant = top
        while descendant != person and descendant in children:
            descendant = children[descendant]
        if descendant == person:
            return top
    return person


register(
    logic_family_chain,
    source="logic_family_chain",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Each of these people is given with one parent. Go from {person} to the parent, to the parent's parent and so "
        "on. At whom do you stop, because no parent is given? parents = {parents}",
        "Who is the earliest ancestor of {person} that follows from this table of child and parent? "
        "parents = {parents}",
        "A family book names a parent for some people, in the form child: parent. Trace the line of {person} back as "
        "far as it goes. With whom does it begin? parents = {parents}",
    ],
)
