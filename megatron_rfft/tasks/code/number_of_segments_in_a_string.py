"""Number of Segments in a String: how many runs without a space? The length is the number of runs."""

from random import Random

from megatron_rfft.tasks.letters import random_word
from megatron_rfft.tasks.registry import register


def number_of_segments_in_a_string(s):
    segments = 0
    previous = " "
    while s:
        character = s[0]
        s = s[1:]
        if character != " " and previous == " ":
            segments += 1
        previous = character
    return segments


def instance(rng: Random, length: int) -> tuple:
    segments = [random_word(rng, 3) + rng.choice(["", "", "", "", ",", "."]) for _ in range(length)]
    s = segments.pop()
    while segments:
        s = segments.pop() + " " * rng.choice([1, 1, 1, 2, 3]) + s
    return (" " * rng.choice([0, 0, 1, 2]) + s + " " * rng.choice([0, 0, 1, 2]),)


def reference(s: str) -> int:
    return len(s.split())


register(
    number_of_segments_in_a_string,
    source="lc_434",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Into how many pieces do the spaces cut this string? Several spaces in a row cut once. s = '{s}'",
        "A segment is a stretch of characters without a space that is as long as it can be. "
        "How many segments has this string? s = '{s}'",
        "How many groups of characters are there between the spaces of s = '{s}'?",
    ],
)
