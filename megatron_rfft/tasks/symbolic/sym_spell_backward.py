"""Spell backward: a word from its last letter to its first. The length is the number of letters."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def sym_spell_backward(word):
    result = ""
    while word:
        result = word[0] + result
        word = word[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choices(ascii_lowercase, k=length)),)


def reference(word: str) -> str:
    return word[::-1]


register(
    sym_spell_backward,
    source="sym_spell_backward",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Spell {word} backward.",
        "Write the letters of {word} from the last to the first.",
        "How does {word} read from right to left?",
    ],
)
