"""Reverse Vowels of a String: the vowels change places, the rest stays. The length is the length of the string."""

import re
from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def reverse_vowels_of_a_string(s):
    vowels = []
    rest = s
    while rest:
        if rest[0] in "aeiouAEIOU":
            vowels.append(rest[0])
        rest = rest[1:]
    result = ""
    while s:
        if s[0] in "aeiouAEIOU":
            result += vowels.pop()
        else:
            result += s[0]
        s = s[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    letters = [rng.choice(rng.choice(["aeiou", ascii_lowercase])) for _ in range(length)]
    return ("".join(letter.upper() if rng.random() < 0.2 else letter for letter in letters),)


def reference(s: str) -> str:
    vowels = iter(re.findall("[aeiou]", s, re.IGNORECASE)[::-1])
    return re.sub("[aeiou]", lambda _: next(vowels), s, flags=re.IGNORECASE)


register(
    reverse_vowels_of_a_string,
    source="lc_345",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Put the vowels (a, e, i, o, u, small or capital) of '{s}' in reverse order and leave all other letters where "
        "they are. What is the result?",
        "The first vowel of '{s}' trades places with the last one, the second with the second to last, and so on; "
        "capitals count, and keep their case as they move. Give the new string.",
        "What does '{s}' become if only its vowels a, e, i, o, u and their capitals are reversed?",
    ],
)
