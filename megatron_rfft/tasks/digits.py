"""Integers as strings of digits, for numbers longer than a machine word."""

from random import Random


def random_digits(rng: Random, length: int) -> str:
    """An integer of exactly ``length`` digits: 0 to 9 for one digit, else without a leading zero."""
    smallest = 10 ** (length - 1) if length > 1 else 0
    return str(rng.randrange(smallest, 10**length))


def random_count(rng: Random, length: int) -> int:
    """How many of ``length`` digits: a third at most three, a third any number, a third all but at most three.

    So a count tells nothing of the digits that are left, nor they of the count.
    """
    few, most = (0, min(3, length)), (max(0, length - 3), length)
    return rng.randint(*rng.choice([few, (0, length), most]))


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
    if rng.random() < 0.75:
        num = num.replace(stop, str(int(stop) + 1))
        if rng.random() < 0.4:
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


def random_numbers_alike(rng: Random) -> tuple[int, int]:
    """Two numbers up to 20: every second time the same, else near each other or anywhere."""
    first = rng.randint(0, 20)
    near = rng.choice([number for number in range(first - 3, first + 4) if 0 <= number <= 20])
    return first, rng.choice([first, first, near, rng.randint(0, 20)])
