"""Knights and knaves: how many are knights in a chain of claims? The length is the number of claims."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES


def logic_knights_chain(person, kind, claims):
    knights = 0
    if kind == "knight":
        knights = 1
    while claims:
        claimed = claims.pop(0)[1]
        if kind == claimed:
            kind = "knight"
            knights += 1
        else:
            kind = "knave"
    return knights


def instance(rng: Random, length: int) -> tuple:
    person, *others = rng.sample(NAMES, length + 1)
    knaves = rng.uniform(0.2, 0.8)
    claims = [[other, "knave" if rng.random() < knaves else "knight"] for other in others]
    return person, rng.choice(["knight", "knave"]), claims


def reference(person: str, kind: str, claims: list[list[str]]) -> int:
    """Who is called a knave is of another kind than the one who says so, whichever that is."""
    groups, group = [1, 0], 0
    for _, claimed in claims:
        group ^= claimed == "knave"
        groups[group] += 1
    return groups[kind == "knave"]


register(
    logic_knights_chain,
    source="logic_knights_chain",
    role="extra",
    valid_lengths=range(1, 36),
    instance=instance,
    reference=reference,
    questions=[
        "Knights always tell the truth and knaves always lie. {person} is a {kind} and speaks about the first person "
        "below, saying what the word there says; that one speaks about the second, and so on. How many of them all, "
        "{person} included, are knights? claims = {claims}",
        "On an island live knights, who say only what is true, and knaves, who say only what is false. {person}, a "
        "{kind}, makes the first claim, and whoever a claim is about makes the next one. Count the knights, {person} "
        "among them if it fits. claims = {claims}",
        "Each claim [name, word] calls a person a knight (truthful) or a knave (lying); it comes from the person "
        "named in the claim before, the first from {person}, who is a {kind}. How many people, {person} and all "
        "named, are knights? claims = {claims}",
    ],
)
