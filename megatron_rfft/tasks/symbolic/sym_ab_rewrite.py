"""Rewriting of A# #A B# #B: what is left when all tokens that face each other have met? The length is the tokens.

Two neighbours face each other if the hashes are between them. Equal letters vanish, different ones change places.
"""

from random import Random

from megatron_rfft.tasks.registry import register

TOKENS = ("A#", "B#", "#A", "#B")


def sym_ab_rewrite(tokens):
    result = []
    waiting = []
    while tokens:
        token = tokens.pop(0)
        if token[1] == "#":
            waiting.append(token)
        else:
            passed = []
            while waiting and waiting[-1][0] != token[1]:
                passed.insert(0, waiting.pop())
            if waiting:
                waiting.pop()
            else:
                result.append(token)
            waiting.extend(passed)
    result.extend(waiting)
    return result


def instance(rng: Random, length: int) -> tuple:
    """Right-facing tokens come early rather than late, so that most meet another."""
    middle = rng.uniform(0.3, 0.7) * length
    return ([rng.choice(TOKENS[:2] if rng.gauss(i, length / 4) < middle else TOKENS[2:]) for i in range(length)],)


def reference(tokens: list[str]) -> list[str]:
    """One step after the other, always at the first two tokens that face each other."""
    text = " ".join(tokens)
    results = {"A# #A": "", "B# #B": "", "A# #B": "#B A#", "B# #A": "#A B#"}
    while places := [(text.index(pair), pair) for pair in results if pair in text]:
        _, pair = min(places)
        text = " ".join(text.replace(pair, results[pair], 1).split())
    return text.split()


register(
    sym_ab_rewrite,
    source="sym_ab_rewrite",
    role="extra",
    valid_lengths=range(1, 41),
    instance=instance,
    reference=reference,
    questions=[
        "Neighbours with both hashes between them react: A# #A and B# #B vanish, A# #B becomes #B A#, and B# #A "
        "becomes #A B#. Which tokens are left, as a list, when nothing reacts any more? tokens = {tokens}",
        "Apply these rules to neighbouring tokens until none fits: A# #A is deleted, B# #B is deleted, A# #B and B# "
        "#A exchange their places. Give the list that results. tokens = {tokens}",
        "A token looks to the side of its hash. Two neighbours that look at each other vanish if their letters are "
        "equal, or else walk past each other. What list remains at the end? tokens = {tokens}",
    ],
)
