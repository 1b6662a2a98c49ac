"""Parity: is the number of capitals even? The length is the number of letters.

This is the parity of a bit string, with 52 symbols in place of two so that short lengths have instances enough.
"""

from random import Random
from string import ascii_letters

from megatron_rfft.tasks.registry import register


def sym_parity(text):
    even = True
    while text:
        if text[0].isupper():
            even = not even
        text = text[1:]
    return even


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choices(ascii_letters, k=length)),)


def reference(text: str) -> bool:
    return sum(letter != letter.lower() for letter in text) % 2 == 0


register(
    sym_parity,
    source="sym_parity",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Is the number of capital letters in this text even? text = '{text}'",
        "Count the capitals of the text; none at all counts as even. Is their number even? text = '{text}'",
        "Can the capital letters of this text be put into pairs with none left over? text = '{text}'",
    ],
)
