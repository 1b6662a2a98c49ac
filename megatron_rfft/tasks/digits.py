"""Integers as strings of digits, for numbers longer than a machine word."""

from random import Random


def random_digits(rng: Random, length: int) -> str:
    """An integer of exactly ``length`` digits: 0 to 9 for one digit, else without a leading zero."""
    smallest = 10 ** (length - 1) if length > 1 else 0
    return str(rng.randrange(smallest, 10**length))


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
