"""Sort Vowels in a String: the vowels in order, all else in its place. The length is the length of the string."""

from random import Random
from string import ascii_letters

from megatron_rfft.tasks.registry import register

VOWELS = "AEIOUaeiou"
CONSONANTS = [letter for letter in ascii_letters if letter not in VOWELS]


def sort_vowels_in_a_string(s):
    counts = {}
    rest = s
    while rest:
        if rest[0] in "AEIOUaeiou":
            counts[rest[0]] = counts.get(rest[0], 0) + 1
        rest = rest[1:]
    result = ""
    vowels = "AEIOUaeiou"
    while s:
        letter = s[0]
        s = s[1:]
        if letter in "AEIOUaeiou":
            while counts.get(vowels[0], 0) == 0:
                vowels = vowels[1:]
            letter = vowels[0]
            counts[letter] -= 1
        result += letter
    return result


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choice(rng.choice([VOWELS, CONSONANTS])) for _ in range(length)),)


def reference(s: str) -> str:
    vowels = iter(sorted(filter(VOWELS.__contains__, s)))
    return "".join(next(vowels) if letter in VOWELS else letter for letter in s)


register(
    sort_vowels_in_a_string,
    source="lc_2785",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Sort the vowels of the string among their own places and leave every consonant where it is. The order of the "
        "vowels is AEIOUaeiou, capitals first. Which string results? s = '{s}'",
        "The consonants of this string stay. The vowels are dealt out anew to the vowels' places from left to right, "
        "in the order A, E, I, O, U, a, e, i, o, u. What is the new string? s = '{s}'",
        "What does the string look like if only its vowels are put into ASCII order (A E I O U before a e i o u), "
        "in the places where vowels stand, with all other letters unmoved? s = '{s}'",
    ],
)
