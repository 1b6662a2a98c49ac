"""Goat Latin: each word gets its own ending, one letter longer than the last. The length is the number of words."""

from random import Random

from megatron_rfft.tasks.registry import register
from megatron_rfft.tasks.words import NAMES, OBJECTS

VOWELS = "AEIOUaeiou"
VOWEL_WORDS = [word for word in NAMES + OBJECTS if word[0] in VOWELS]
OTHER_WORDS = [word for word in NAMES + OBJECTS if word[0] not in VOWELS]


def goat_latin(words):
    result = []
    ending = "ma"
    while words:
        word = words.pop(0)
        ending += "a"
        if word[0] not in "AEIOUaeiou":
            word = word[1:] + word[0]
        result.append(word + ending)
    return result


def instance(rng: Random, length: int) -> tuple:
    return ([rng.choice(rng.choice([VOWEL_WORDS, OTHER_WORDS])) for _ in range(length)],)


def reference(words: list[str]) -> list[str]:
    stems = [word if word.lower().startswith(("a", "e", "i", "o", "u")) else word[1:] + word[:1] for word in words]
    return [f"{stem}ma{'a' * number}" for number, stem in enumerate(stems, start=1)]


register(
    goat_latin,
    source="lc_824",
    role="pretrain",
    valid_lengths=range(1, 31),  # the new words are longer and longer
    instance=instance,
    reference=reference,
    questions=[
        "Turn the words into Goat Latin: a word that does not begin with a vowel (a, e, i, o, u, small or capital) "
        "has its first letter moved to its end; then every word gets 'ma' and after that one 'a' for the first word, "
        "two for the second, and so on. List the new words. words = {words}",
        "In Goat Latin, the n-th word ends in 'ma' followed by n times 'a', and before that a word with a consonant "
        "at its front sends this letter to its back. Upper and lower case stay. "
        "How do these words read in Goat Latin? words = {words}",
        "For each word: if it starts with a consonant, shift that letter behind the last one; add 'ma'; "
        "add as many letters 'a' as the word's number in the list, counted from 1. "
        "What is the list of results? words = {words}",
    ],
)
