"""First letters: join the first letter of each word. The length is the number of words."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import FEW_OBJECTS


def sym_first_letter(words):
    result = ""
    while words:
        word = words.pop(0)
        result += word[0]
    return result


def instance(rng: Random, length: int) -> tuple:
    return (rng.sample(FEW_OBJECTS, length),)


def reference(words: list[str]) -> str:
    return "".join(initial for initial, *_ in words)


register(
    sym_first_letter,
    source="sym_first_letter",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Take the first letter of each word and join them in order. What do you get? words = {words}",
        "Which string do the initials of these words spell, one after the other? words = {words}",
        "Write down how each word begins, one letter a word, without spaces. words = {words}",
    ],
)
