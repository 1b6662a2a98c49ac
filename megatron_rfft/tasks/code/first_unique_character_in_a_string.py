"""First Unique Character in a String: where is it, counted from 0? The length is the length of the string."""

from collections import Counter
from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def first_unique_character_in_a_string(s):
    counts = {}
    rest = s
    while rest:
        counts[rest[0]] = counts.get(rest[0], 0) + 1
        rest = rest[1:]
    index = 0
    while s:
        if counts[s[0]] == 1:
            return index
        s = s[1:]
        index += 1
    return -1


def instance(rng: Random, length: int) -> tuple:
    """Draw an index, and strings until one has its first unique letter there."""
    while True:
        index = rng.randint(-1, length - 1)
        kinds = rng.sample(ascii_lowercase, rng.randint(3, 8))
        letters = rng.choices(kinds[1:], k=length)
        if index >= 0:
            letters[index] = kinds[0]
        if reference("".join(letters)) == index:
            return ("".join(letters),)


def reference(s: str) -> int:
    counts = Counter(s)
    return next((index for index, letter in enumerate(s) if counts[letter] == 1), -1)


register(
    first_unique_character_in_a_string,
    source="lc_387",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "At which index, counted from 0, is the first letter that occurs only once in '{s}'? "
        "Answer -1 if every letter is repeated.",
        "Read '{s}' from left to right until you meet a letter that comes up nowhere else in it. What is its position, "
        "0 being the first? It is -1 if there is no such letter.",
        "Give the index (from 0) of the leftmost letter of '{s}' without a second copy, or -1 if all have one.",
    ],
)
