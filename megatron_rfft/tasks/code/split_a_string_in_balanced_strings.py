"""Split a Balanced String: into how many balanced parts at most? The length is half the number of letters."""

from random import Random

from megatron_rfft.tasks.registry import register


def lc_1221(s):
    parts = 0
    balance = 0
    while s:
        if s[0] == "L":
            balance += 1
        else:
            balance -= 1
        if balance == 0:
            parts += 1
        s = s[1:]
    return parts


def instance(rng: Random, length: int) -> tuple:
    """A row of shuffled balanced parts, which may fall into smaller ones; how long they are differs from row to row."""
    longest = rng.randint(1, length)
    s = ""
    while len(s) < 2 * length:
        size = min(rng.randint(1, longest), length - len(s) // 2)
        s += "".join(rng.sample("LR" * size, 2 * size))
    return (s,)


def reference(s: str) -> int:
    """How many of the beginnings of the string are balanced."""
    return sum(2 * s[:end].count("L") == end for end in range(2, len(s) + 1, 2))


register(
    lc_1221,
    source="lc_1221",
    role="extra",
    valid_lengths=range(2, 56),
    instance=instance,
    reference=reference,
    questions=[
        "Cut this string into as many pieces as possible, each with equally many L and R. How many pieces are there? "
        "s = '{s}'",
        "A string is balanced if it has just as many L's as R's. Into how many balanced parts can this one be split "
        "at most? s = '{s}'",
        "Reading from the left, you cut whenever the number of L's and R's so far is equal. How many parts do you "
        "get? s = '{s}'",
    ],
)
