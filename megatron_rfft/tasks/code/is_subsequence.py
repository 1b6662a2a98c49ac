"""Is Subsequence: do the letters of s occur in t in their order? The length is the length of t."""

import re
from random import Random

from megatron_rfft.tasks.letters import change_letter, random_letters, shuffled
from megatron_rfft.tasks.registry import register


def is_subsequence(s, t):
    while s and t:
        if s[0] == t[0]:
            s = s[1:]
        t = t[1:]
    return s == ""


def instance(rng: Random, length: int) -> tuple:
    t = random_letters(rng, length)
    places = sorted(rng.sample(range(length), rng.randint(1, length)))
    s = "".join(t[place] for place in places)
    if rng.random() < 0.5:
        s = shuffled(rng, s)
        while reference(s, t):
            s = change_letter(rng, s)
    return s, t


def reference(s: str, t: str) -> bool:
    return re.match("".join(f"[^{letter}]*{letter}" for letter in s), t) is not None


register(
    is_subsequence,
    source="lc_392",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Can you get '{s}' by striking out letters of '{t}' (or none) without moving the others?",
        "Do the letters of '{s}' all occur in '{t}' from left to right in the same order, with others between them or "
        "not?",
        "Is '{s}' a subsequence of '{t}', that is, what is left of it after deleting some letters or none?",
    ],
)
