"""Reverse Prefix of Word: turn around the start, up to a letter. The length is the number of letters."""

from random import Random

from megatron_rfft.tasks.letters import next_letter, random_letters
from megatron_rfft.tasks.registry import register


def lc_2000(word, letter):
    prefix = ""
    rest = word
    while rest:
        prefix = rest[0] + prefix
        if rest[0] == letter:
            return prefix + rest[1:]
        rest = rest[1:]
    return word


def instance(rng: Random, length: int) -> tuple:
    """The letter occurs first at any place; now and then it does not occur at all."""
    word = random_letters(rng, length)
    letter = word[rng.randrange(length)]
    if rng.random() < 0.8:
        place = rng.randrange(length)
        word = word[:place].replace(letter, next_letter(letter)) + letter + word[place + 1 :]
    elif rng.random() < 0.5:
        word = word.replace(letter, next_letter(letter))
    return word, letter


def reference(word: str, letter: str) -> str:
    end = word.find(letter) + 1
    return word[:end][::-1] + word[end:]


register(
    lc_2000,
    source="lc_2000",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Reverse the part of '{word}' from its start to the first {letter}, this letter included, and leave the rest; "
        "if there is no {letter}, nothing changes. What results?",
        "Find the first {letter} in '{word}' and write all letters up to it, with it, in reverse order, then the "
        "others as they are. Without a {letter} the word stays the same. How does it read?",
        "The beginning of '{word}' that ends in its first {letter} is turned around (nothing is, if it has no "
        "{letter}). Give the new word.",
    ],
)
