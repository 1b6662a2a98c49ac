"""Removing Stars From a String: a star takes the letter before it away. The length is the length of the string."""

from random import Random
from string import ascii_lowercase

from megatron_rfft.tasks.registry import register


def removing_stars_from_a_string(s):
    result = ""
    while s:
        if s[0] == "*":
            result = result[:-1]
        else:
            result += s[0]
        s = s[1:]
    return result


def instance(rng: Random, length: int) -> tuple:
    stars = rng.uniform(0.1, 0.5)
    s, size = "", 0  # size of what is left so far: a star needs a letter
    while len(s) < length:
        is_star = size > 0 and rng.random() < stars
        s += "*" if is_star else rng.choice(ascii_lowercase)
        size += -1 if is_star else 1
    return (s,)


def reference(s: str) -> str:
    while "*" in s:
        star = s.index("*")
        s = s[: star - 1] + s[star + 1 :]
    return s


register(
    removing_stars_from_a_string,
    source="lc_2390",
    role="pretrain",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Every star removes itself and the nearest letter to its left that is still there. "
        "What is left of the string when all stars are gone? s = '{s}'",
        "Somebody types this text, and * is the backspace key. What stands on the screen at the end? s = '{s}'",
        "Take the stars from left to right; strike out each one together with the closest remaining letter before it. "
        "Which letters remain? s = '{s}'",
    ],
)
