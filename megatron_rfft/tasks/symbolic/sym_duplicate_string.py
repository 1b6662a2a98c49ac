"""Duplicate string: a text twice in a row. The length is the number of letters of the text."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def sym_duplicate_string(text):
    result = ""
    copies = 2
    while copies:
        rest = text
        while rest:
            result += rest[0]
            rest = rest[1:]
        copies -= 1
    return result


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choices(ascii_lowercase, k=length)),)


def reference(text: str) -> str:
    return text + text


register(
    sym_duplicate_string,
    source="sym_duplicate_string",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write this text twice, the second time right behind the first. text = '{text}'",
        "Which string consists of two copies of this one, without a space between them? text = '{text}'",
        "Append the text to itself. What does it become? text = '{text}'",
    ],
)
