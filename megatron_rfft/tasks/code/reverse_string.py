"""Reverse String: a list of characters backwards. The length is the number of characters."""

from random import Random
from string import ascii_letters, digits

from megatron_rfft.tasks.registry import register


def reverse_string(s):
    result = []
    while s:
        result.append(s.pop())
    return result


def instance(rng: Random, length: int) -> tuple:
    return (rng.choices(ascii_letters + digits, k=length),)


def reference(s: list[str]) -> list[str]:
    return s[::-1]


register(
    reverse_string,
    source="lc_344",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Reverse this list of characters. s = {s}",
        "A string is given as the list of its characters. Give the list for the string spelled backwards. s = {s}",
        "What is the list of these characters from the last to the first? s = {s}",
    ],
)
