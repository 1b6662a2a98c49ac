"""Dyck languages: does every bracket have its partner? The length is half the number of brackets."""

from random import Random

from megatron_rfft.tasks.registry import register

PAIRS = ("()", "[]", "{}", "<>")


def dyck_languages(brackets):
    partners = {"(": ")", "[": "]", "{": "}", "<": ">"}
    expected = ""
    while brackets:
        bracket = brackets[0]
        brackets = brackets[1:]
        if bracket in partners:
            expected = partners[bracket] + expected
        elif expected.startswith(bracket):
            expected = expected[1:]
        else:
            return False
    return expected == ""


def instance(rng: Random, length: int) -> tuple:
    brackets = nested(rng, length)
    return (rng.choice([brackets, spoilt(brackets)]),)


def nested(rng: Random, num_pairs: int) -> str:
    brackets, expected = "", ""
    depth = rng.uniform(0.3, 0.7)
    while num_pairs or expected:
        if num_pairs and (not expected or rng.random() < depth):
            opening, closing = rng.choice(PAIRS)
            brackets += opening
            expected = closing + expected
            num_pairs -= 1
        else:
            brackets += expected[0]
            expected = expected[1:]
    return brackets


def spoilt(brackets: str) -> str:
    """One version of ``brackets``, always the same, so that yes and no stay even where there are few sequences."""
    rng = Random(brackets)
    while True:
        changed = list(brackets)
        i, j = rng.sample(range(len(changed)), 2)
        if rng.random() < 0.5:
            changed[i], changed[j] = changed[j], changed[i]
        else:
            changed[i] = rng.choice("".join(PAIRS))
        if not reference("".join(changed)):
            return "".join(changed)


def reference(brackets: str) -> bool:
    while any(pair in brackets for pair in PAIRS):
        for pair in PAIRS:
            brackets = brackets.replace(pair, "")
    return not brackets


register(
    dyck_languages,
    source="bbh_dyck_languages",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Is this sequence of brackets valid, each one closed by its own kind and in the right order? "
        "brackets = '{brackets}'",
        "Brackets are well nested if every opening one is closed by a bracket of its kind, the one opened last being "
        "closed first, and none is left over. Is that so here? brackets = '{brackets}'",
        "Two neighbouring brackets that open and close the same kind may be taken out together, as often as you like. "
        "Can this string be emptied that way? brackets = '{brackets}'",
    ],
)
