"""Naive string matching: where does a pattern occur in a text? The length is the number of letters of the text."""

import re
from random import Random

from megatron_rfft.tasks.registry import register


def alg_naive_match(text, pattern):
    places = []
    place = 0
    while text:
        if text.startswith(pattern):
            places.append(place)
        text = text[1:]
        place += 1
    return places


def instance(rng: Random, length: int) -> tuple:
    pattern = "".join(rng.choices("ab", k=min(length, rng.randint(1, 3))))
    share = rng.uniform(0, 0.5)
    text = ""
    while len(text) < length:
        text += pattern if rng.random() < share else rng.choice("abc")
    return text[:length], pattern


def reference(text: str, pattern: str) -> list[int]:
    return [match.start() for match in re.finditer(f"(?={pattern})", text)]


register(
    alg_naive_match,
    source="alg_naive_match",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "At which places of the text does '{pattern}' begin? Count from 0 and list all, overlapping ones too. "
        "text = '{text}'",
        "List the indices, from 0 on, of every occurrence of '{pattern}' in the text; they may overlap. "
        "text = '{text}'",
        "Search for '{pattern}' and give, in ascending order, how many letters stand before each place where it "
        "starts, even if these places overlap; [] if there is none. text = '{text}'",
    ],
)
