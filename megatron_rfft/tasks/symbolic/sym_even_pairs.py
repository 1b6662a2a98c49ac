"""Even pairs: does a text change evenly often between capitals and small letters? The length is the number of letters.

These are the pairs ab and ba of a text of two symbols; 52 symbols in place of two give short lengths instances enough.
"""

from random import Random
from string import ascii_letters

from megatron_rfft.tasks.registry import register


def sym_even_pairs(text):
    even = True
    last = text[0]
    text = text[1:]
    while text:
        letter = text[0]
        text = text[1:]
        if letter.isupper() != last.isupper():
            even = not even
        last = letter
    return even


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choices(ascii_letters, k=length)),)


def reference(text: str) -> bool:
    """After an even number of changes the text ends as it began."""
    return (text[0] == text[0].lower()) == (text[-1] == text[-1].lower())


register(
    sym_even_pairs,
    source="sym_even_pairs",
    role="extra",
    valid_lengths=range(2, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Count the places of this text where a capital letter and a small one stand next to each other, in either "
        "order. Is their number even (0 is)? text = '{text}'",
        "Reading the text from left to right, you switch between capitals and small letters some number of times. Is "
        "that number even, 0 being even? text = '{text}'",
        "Among the pairs of neighbouring letters, is the number of pairs of a capital and a small letter even? None "
        "at all counts as even. text = '{text}'",
    ],
)
