"""Detect Capital: are all letters capitals, none, or only the first? The length is the number of letters."""

from random import Random

from megatron_rfft.tasks.letters import random_letters, replace_at
from megatron_rfft.tasks.registry import register


def detect_capital(word):
    capitals = 0
    rest = word
    while rest:
        if rest[0].isupper():
            capitals += 1
        rest = rest[1:]
    return capitals == 0 or capitals == len(word) or (capitals == 1 and word[0].isupper())


def instance(rng: Random, length: int) -> tuple:
    word = random_letters(rng, length)
    word = rng.choice([word.upper(), word, word.capitalize()])
    if length > 1 and rng.random() < 0.5:
        while reference(word):
            place = rng.randrange(length)
            word = replace_at(word, place, word[place].swapcase())
    return (word,)


def reference(word: str) -> bool:
    return word in (word.upper(), word.lower(), word.capitalize())


register(
    detect_capital,
    source="lc_520",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A word's capitals are used well if all its letters are capitals, or none is, or only the first one is. "
        "Are they in '{word}'?",
        "Is '{word}' written all in capitals, all in small letters, or with a capital first letter and small ones "
        "after it?",
        "Does '{word}' have its capitals in one of the usual three ways: everywhere, nowhere, or just at the start?",
    ],
)
