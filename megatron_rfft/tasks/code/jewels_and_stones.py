"""Jewels and Stones: how many stones are jewels? The length is the number of stones."""

from random import Random
from string import ascii_letters

from megatron_rfft.tasks.registry import register


def lc_771(jewels, stones):
    count = 0
    while stones:
        if stones[0] in jewels:
            count += 1
        stones = stones[1:]
    return count


def instance(rng: Random, length: int) -> tuple:
    letters = rng.sample(ascii_letters, rng.randint(4, 16))
    jewels = "".join(letters[: rng.randint(1, len(letters) - 1)])
    return jewels, "".join(rng.choices(letters, k=length))


def reference(jewels: str, stones: str) -> int:
    return sum(stones.count(jewel) for jewel in jewels)


register(
    lc_771,
    source="lc_771",
    role="extra",
    valid_lengths=range(1, 61),
    instance=instance,
    reference=reference,
    questions=[
        "Each letter of '{stones}' is a stone, and those of a kind that occurs in '{jewels}' are jewels; a small "
        "letter and its capital are different kinds. How many of the stones are jewels?",
        "How many letters of '{stones}' are among the letters '{jewels}', capitals being different from small letters?",
        "Someone collects the letters '{jewels}', exactly in this case. How many does '{stones}' hold for the "
        "collection?",
    ],
)
