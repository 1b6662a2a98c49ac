"""Modus ponens: does a fact follow from if-then rules? The length is the number of rules."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES


def logic_modus_ponens(guest, rules, person):
    coming = [guest]
    while rules:
        rule = rules.pop(0)
        if rule[0] in coming:
            coming.append(rule[1])
    return person in coming


def instance(rng: Random, length: int) -> tuple:
    """Two groups of people grow by the rules, those who come and those who do not; the last one named is in either."""
    guest, absent, *others = rng.sample(NAMES, length + 2)
    groups = [[guest], [absent]]
    rules = []
    for person in others:
        group = rng.choice(groups)
        rules.append([rng.choice(group[-3:]), person])
        group.append(person)
    return guest, rules, person


def reference(guest: str, rules: list[list[str]], person: str) -> bool:
    """Backwards: who has to come so that the person comes?"""
    reasons = {then: condition for condition, then in rules}
    while person in reasons:
        person = reasons[person]
    return person == guest


register(
    logic_modus_ponens,
    source="logic_modus_ponens",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "{guest} comes to the party for sure. A rule [a, b] says: if a comes, b comes, too. Nobody comes without such "
        "a reason. Does {person} come? rules = {rules}",
        "{guest} is coming. Each pair means that the first person's coming brings the second along, and nobody else "
        "comes. Will {person} be there? rules = {rules}",
        "It is known that {guest} comes, and a rule [x, y] lets you conclude from x coming that y comes. "
        "Can you conclude that {person} comes? rules = {rules}",
    ],
)
