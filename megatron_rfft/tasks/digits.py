"""Integers as strings of digits, for numbers longer than a machine word."""

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


def random_digits_until(rng: Random, length: int, stop: str, from_end: bool = False) -> str:
    """An integer of ``length`` digits for a rule that reads it to the digit ``stop``, 1 to 8.

    That one often comes last, or not at all: what counts the digits before it reaches the length, not a tenth of it.
    """
    num = random_digits(rng, length)
    if rng.random() < 0.7:
        num = num.replace(stop, str(int(stop) + 1))
        if rng.random() < 0.6:
            num = stop + num[1:] if from_end else num[:-1] + stop
    return num


def random_digits_rich_in(rng: Random, length: int, digit: str, other: str) -> str:
    """``length`` digits: every third time only ``digit``, or it and ``other``, so that it comes often."""
    return "".join(rng.choices(rng.choice([digit, other + digit, "0123456789"]), k=length))


def random_digits_of_few(rng: Random, length: int) -> str:
    """``length`` digits of two to six kinds, from 0 upwards: zeroes come often."""
    return "".join(rng.choices("0123456789"[: rng.randint(2, 6)], k=length))


def random_gap(rng: Random, most: int) -> tuple[int, int]:
    """A number up to 17, and one that is larger by at most ``most``."""
    low = rng.randint(0, 17)
    return low, low + rng.randint(0, most)
