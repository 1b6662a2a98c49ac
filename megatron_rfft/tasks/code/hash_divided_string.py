"""Hash Divided String: one letter for each block of k letters. The length is the number of blocks."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def hash_divided_string(s, k):
    result = ""
    while s:
        block = s[:k]
        s = s[k:]
        total = 0
        while block:
            total += ord(block[0]) - 97
            block = block[1:]
        result += chr(total % 26 + 97)
    return result


def instance(rng: Random, length: int) -> tuple:
    k = rng.randint(2, 4)
    return "".join(rng.choices(ascii_lowercase, k=length * k)), k


def reference(s: str, k: int) -> str:
    values = [ascii_lowercase.index(letter) for letter in s]
    return "".join(ascii_lowercase[sum(values[i : i + k]) % 26] for i in range(0, len(s), k))


register(
    hash_divided_string,
    source="lc_3271",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Let a be 0, b 1, and so on up to z, 25. Cut '{s}' into blocks of {k} letters and replace each block "
        "by the letter of the sum of its values, less as many times 26 as it takes to be below 26. What comes out?",
        "Divide '{s}' into pieces of {k} letters from the left. For each piece, add up the places of its letters in "
        "the alphabet, counted from 0 for a, and take the remainder by 26: it is the place of one new letter. "
        "Which string do the new letters make?",
        "Each {k} letters of '{s}' in turn become one letter: their numbers (a = 0 to z = 25) are summed modulo 26. "
        "What is the resulting string?",
    ],
)
