"""Number of Valid Words: words with hyphens and marks only where they belong. The length is the number of words."""

import re
from random import Random
from string import ascii_lowercase, digits

from megatron_rfft.tasks.registry import register

# Words of both kinds: a stands for any letter, 1 for any digit, ! for any of the three marks.
VALID = ("a", "aa", "aaa", "a-a", "aa-a", "a-aa", "a!", "aa!", "a-a!", "!")
INVALID = ("1", "a1", "1a!", "a-1", "-", "-a", "aa-", "a-!", "a--a", "a-a-a", "!a", "a!a", "a!!", "a!-a")
CHARACTERS = {"a": ascii_lowercase, "1": digits, "!": "!.,", "-": "-"}


def number_of_valid_words(words):
    count = 0
    while words:
        word = words.pop(0)
        if word[-1] in "!.,":
            word = word[:-1]
        rest = word
        hyphens = 0
        while rest:
            if rest[0] == "-":
                hyphens += 1
            elif not rest[0].isalpha():
                break
            rest = rest[1:]
        if not rest and hyphens < 2 and word[:1] != "-" and word[-1:] != "-":
            count += 1
    return count


def instance(rng: Random, length: int) -> tuple:
    share = rng.random()
    kinds = [rng.choice(VALID if rng.random() < share else INVALID) for _ in range(length)]
    return (["".join(rng.choice(CHARACTERS[c]) for c in kind) for kind in kinds],)


def reference(words: list[str]) -> int:
    return sum(re.fullmatch("([a-z]+(-[a-z]+)?)?[!.,]?", word) is not None for word in words)


register(
    number_of_valid_words,
    source="lc_2047",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "A word is valid if it has no digit, at most one hyphen, which needs a letter right before and right after it, "
        "and at most one of the marks '!', '.' and ',', which has to be its last character; "
        "a mark alone is valid. How many of the words are valid? words = {words}",
        "Count the valid words. A word is invalid if it contains a digit, a second hyphen, a hyphen that is not "
        "between two letters, or one of ! . , anywhere but at its end. words = {words}",
        "How many of these are written properly? That means letters, with one hyphen or none between two of them, "
        "and one of the marks ! . , or none at the very end; a single mark by itself is proper, too, "
        "and anything with a digit is not. words = {words}",
    ],
)
