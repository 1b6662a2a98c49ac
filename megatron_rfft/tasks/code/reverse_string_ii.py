"""Reverse String II: the first k of every 2k characters backwards. The length is the length of the string."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def reverse_string_ii(s, k):
    result = ""
    while s:
        result += s[:k][::-1] + s[k : 2 * k]
        s = s[2 * k :]
    return result


def instance(rng: Random, length: int) -> tuple:
    return "".join(rng.choices(ascii_lowercase, k=length)), rng.randint(2, 6)


def reference(s: str, k: int) -> str:
    blocks = [s[start : start + k] for start in range(0, len(s), k)]
    blocks[::2] = ["".join(reversed(block)) for block in blocks[::2]]
    return "".join(blocks)


register(
    reverse_string_ii,
    source="lc_541",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Cut '{s}' into blocks of {k} letters (the last may be shorter) and reverse the first block, the third, the "
        "fifth and so on. What does the string become?",
        "Go through '{s}': turn {k} letters around, leave the next {k} as they are, and so on to the end; if fewer are "
        "left than are to be turned around, turn all of them. Give the result.",
        "Every other group of {k} letters of '{s}' is written backwards, beginning with the first group; "
        "a shorter group at the end counts as a group. What is the new string?",
    ],
)
