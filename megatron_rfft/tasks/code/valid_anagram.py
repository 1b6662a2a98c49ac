"""Valid Anagram: do two words consist of the same letters? The length is the first word's number of letters."""

from random import Random

from megatron_rfft.tasks.letters import next_letter, random_letters, replace_at, shuffled
from megatron_rfft.tasks.registry import register


def valid_anagram(s, t):
    if len(s) != len(t):
        return False
    counts = {}
    while s:
        counts[s[0]] = counts.get(s[0], 0) + 1
        s = s[1:]
    while t:
        if counts.get(t[0], 0) == 0:
            return False
        counts[t[0]] -= 1
        t = t[1:]
    return True


def instance(rng: Random, length: int) -> tuple:
    s = random_letters(rng, length)
    t = shuffled(rng, s)
    if rng.random() < 0.5:
        while reference(s, t):
            t = replace_at(t, rng.randrange(length), rng.choice(s + next_letter(s[0])))
        if length > 2 and rng.random() < 0.1:
            t = rng.choice([t[1:], t + t[0]])
    return s, t


def reference(s: str, t: str) -> bool:
    return sorted(s) == sorted(t)


register(
    valid_anagram,
    source="lc_242",
    role="pretrain",
    version=2,
    valid_lengths=range(1, 61),
    instance=instance,
    symmetric=True,
    reference=reference,
    questions=[
        "Is '{t}' an anagram of '{s}', that is, made of the same letters, each as many times?",
        "Can all letters of '{s}' be put in an order that gives exactly '{t}'?",
        "Does each letter occur in '{s}' just as often as in '{t}'?",
    ],
)
