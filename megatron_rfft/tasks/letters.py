"""Strings of random letters, and small changes to them."""

from random import Random
from string import ascii_lowercase

MOST_DIFFERENT = 8


def random_letters(rng: Random, length: int) -> str:
    """``length`` small letters, of MOST_DIFFERENT kinds at most, so that letters repeat."""
    kinds = rng.sample(ascii_lowercase, rng.randint(2, MOST_DIFFERENT))
    return "".join(rng.choices(kinds, k=length))


def random_word(rng: Random, longest: int) -> str:
    """1 to ``longest`` small letters."""
    return "".join(rng.choices(ascii_lowercase, k=rng.randint(1, longest)))


def shuffled(rng: Random, text: str) -> str:
    """The characters of ``text`` in any order."""
    return "".join(rng.sample(text, len(text)))


def replace_at(text: str, place: int, characters: str) -> str:
    """``text`` with ``characters`` instead of as many of its own, from index ``place``."""
    return text[:place] + characters + text[place + len(characters) :]


def change_letter(rng: Random, text: str) -> str:
    """``text`` with one small letter, at any place, replaced by its successor; a follows z."""
    place = rng.randrange(len(text))
    return replace_at(text, place, next_letter(text[place]))


def next_letter(letter: str) -> str:
    """The successor of a small letter; a follows z."""
    return ascii_lowercase[(ascii_lowercase.index(letter) + 1) % 26]
