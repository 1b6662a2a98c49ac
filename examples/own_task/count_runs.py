"""How many runs of equal letters a string has. The length is the string's length."""

from itertools import pairwise
from random import Random

from megatron_rfft.tasks import register


def count_runs(text):
    runs = 0
    previous = ""
    while text:
        letter = text[0]
        text = text[1:]
        if letter != previous:
            runs += 1
        previous = letter
    return runs


def instance(rng: Random, length: int) -> tuple:
    return ("".join(rng.choices("abc", weights=(4, 2, 1), k=length)),)


def reference(text: str) -> int:
    return len(text) and 1 + sum(a != b for a, b in pairwise(text))


register(
    count_runs,
    source="own",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=["How many runs of equal letters are in {text!r}?", "Count the runs of one letter in the text {text!r}."],
)
