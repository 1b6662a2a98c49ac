"""Capitalize the Title: a word as it is written in a title. The length is the number of letters in the word."""

from random import Random
from string import ascii_letters

from megatron_rfft.tasks.registry import register


def capitalize_the_title(word):
    result = ""
    if len(word) > 2:
        result = word[0].upper()
        word = word[1:]
    while word:
        result += word[0].lower()
        word = word[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choices(ascii_letters, k=length)),)


def reference(word: str) -> str:
    return word.lower() if len(word) <= 2 else word.capitalize()


register(
    capitalize_the_title,
    source="lc_2129",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "In a title, words of one or two letters are written in lower case; longer words get a capital first letter "
        "and lower case for the rest. How is the word '{word}' written?",
        "Mend the case of the word '{word}': a capital at the front and small letters behind it, "
        "or only small letters if the word has no more than two letters.",
        "Every letter of '{word}' becomes a small letter, except that the first one becomes a capital "
        "if there are three letters or more. What does the word look like then?",
    ],
)
