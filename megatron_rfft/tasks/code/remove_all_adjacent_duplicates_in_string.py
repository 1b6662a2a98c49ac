"""Remove Adjacent Duplicates: pairs of equal neighbours vanish. The length is the number of letters."""

import re
from random import Random

from megatron_rfft.tasks.registry import register


def lc_1047(text):
    result = ""
    while text:
        if result.endswith(text[0]):
            result = result[:-1]
        else:
            result += text[0]
        text = text[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    """Often the letter that would remove the last one left, so that removals follow from removals."""
    removing = rng.uniform(0.1, 0.4)
    text, left = "", ""
    for _ in range(length):
        letter = left[-1] if left and rng.random() < removing else rng.choice("abcdef")
        text += letter
        left = left[:-1] if left.endswith(letter) else left + letter
    return (text,)


def reference(text: str) -> str:
    while True:
        shorter = re.sub(r"(.)\1", "", text)
        if shorter == text:
            return text
        text = shorter


register(
    lc_1047,
    source="lc_1047",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Two equal letters side by side are struck out together, as often as that is possible, also where letters have "
        "become neighbours only then. What is left, '' if nothing is? text = '{text}'",
        "Remove pairs of equal neighbours from the text until no two neighbours are equal. "
        "What does it become (it may be empty: '')? text = '{text}'",
        "Equal letters annihilate each other when they touch, two at a time, and the rest closes up. "
        "Which text remains in the end, '' standing for none? text = '{text}'",
    ],
)
