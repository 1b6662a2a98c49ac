"""Odds first: letters at odd places, then those at even places. The length is the number of letters."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def sym_odds_first(text):
    odds = ""
    evens = ""
    while text:
        odds += text[0]
        evens += text[1:2]
        text = text[2:]
    return odds + evens


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choices(ascii_lowercase, k=length)),)


def reference(text: str) -> str:
    return text[::2] + text[1::2]


register(
    sym_odds_first,
    source="sym_odds_first",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Write the first, third, fifth, ... letter of the text, then the second, fourth, sixth, ... "
        "What do you get? text = '{text}'",
        "Deal the letters of the text to two piles in turn and put the second pile behind the first, each pile in the "
        "order of dealing. Which string results? text = '{text}'",
        "Counting letters from 1, move those at even places, in their order, behind those at odd places. "
        "How does the text read then? text = '{text}'",
    ],
)
