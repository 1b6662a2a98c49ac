"""Integers as strings of digits, for numbers longer than a machine word."""

from collections.abc import Sequence
from random import Random


def random_digits(rng: Random, length: int) -> str:
    """An integer of exactly ``length`` digits: 0 to 9 for one digit, else without a leading zero."""
    smallest = 10 ** (length - 1) if length > 1 else 0
    return str(rng.randrange(smallest, 10**length))


def random_count(rng: Random, length: int) -> int:
    """How many of ``length`` digits: every second time at most three, else any number of them."""
    return rng.randint(0, rng.choice([min(3, length), length]))


def random_digits_pair(rng: Random, length: int) -> tuple[str, str]:
    """Two integers whose longer one has ``length`` digits: every second pair of equal lengths, the rest of any."""
    shorter = rng.choice([length, rng.randint(1, length)])
    pair = [random_digits(rng, length), random_digits(rng, shorter)]
    rng.shuffle(pair)
    return tuple(pair)


def random_decimal(rng: Random, length: int) -> str:
    """A decimal of exactly ``length`` digits, at least one on either side of the point."""
    before = rng.randint(1, length - 1)
    return random_digits(rng, before) + "." + "".join(rng.choices("0123456789", k=length - before))


def random_digits_and_one(rng: Random, length: int, kinds: Sequence[int] = (2, 3, 10)) -> tuple[str, str]:
    """``length`` digits of so many ``kinds``, and one of these kinds: with few of them it comes often."""
    digits = rng.sample("0123456789", rng.choice(kinds))
    return "".join(rng.choices(digits, k=length)), rng.choice(digits)


def random_digits_and_stop(rng: Random, length: int, from_end: bool = False) -> tuple[str, str]:
    """An integer of ``length`` digits and the digit at which reading it stops.

    That one often comes last, or not at all: what counts the digits before it reaches the length, not a tenth of it.
    """
    num, stop = random_digits(rng, length), str(rng.randrange(1, 10))
    if rng.random() < 0.6:
        num = num.replace(stop, str(1 + int(stop) % 9))
        if rng.random() < 0.6:
            num = stop + num[1:] if from_end else num[:-1] + stop
    return num, stop
