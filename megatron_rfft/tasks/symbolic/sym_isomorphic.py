"""Isomorphic strings: does a one-to-one exchange of letters turn s into t? The length is that of each string."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.letters import random_letters, replace_at
from megatron_rfft.tasks.registry import register


def sym_isomorphic(s, t):
    to_t = {}
    to_s = {}
    while s:
        a = s[0]
        b = t[0]
        s = s[1:]
        t = t[1:]
        if to_t.get(a, b) != b or to_s.get(b, a) != a:
            return False
        to_t[a] = b
        to_s[b] = a
    return True


def instance(rng: Random, length: int) -> tuple:
    s = random_letters(rng, length)
    t = s.translate(str.maketrans(ascii_lowercase, "".join(rng.sample(ascii_lowercase, 26))))
    if rng.random() < 0.5:
        while reference(s, t):
            t = replace_at(t, rng.randrange(length), rng.choice(t + rng.choice(ascii_lowercase)))
    return s, t


def reference(s: str, t: str) -> bool:
    return [s.index(letter) for letter in s] == [t.index(letter) for letter in t]


register(
    sym_isomorphic,
    source="sym_isomorphic",
    role="extra",
    version=2,
    valid_lengths=range(2, 56),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Can '{s}' be turned into '{t}' by replacing each letter, wherever it occurs, by the same new one, different "
        "letters by different ones (a letter may stay as it is)?",
        "Are '{s}' and '{t}' isomorphic, that is, do equal letters of one always meet equal letters in the other and "
        "different ones different ones?",
        "Is there a secret alphabet, with a letter of its own for every letter, in which '{s}' is written '{t}'?",
    ],
)
