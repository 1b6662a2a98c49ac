"""Random strings as names, as the paper's synthetic rules have them."""

from random import Random

_LETTERS, _LETTERS_AND_DIGITS = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789"
_PYTHON = "and as assert async await break class def del elif else except for from if import in is not or pass try with"
_BUILTINS = "abs bool case chr copy get int len lower match max min ord pop str type upper while raise yield"
_TAKEN = frozenset(f"{_PYTHON} {_BUILTINS}".split())


def random_name(rng: Random) -> str:
    """Two to six letters and digits, a letter first; no word of Python's or of the subset's."""
    while True:
        name = rng.choice(_LETTERS) + "".join(rng.choices(_LETTERS_AND_DIGITS, k=rng.randint(1, 5)))
        if name not in _TAKEN:
            return name


def draw_random_names(rng: Random, number: int) -> list[str]:
    """So many names, all different."""
    names: dict[str, None] = {}
    while len(names) < number:
        names[random_name(rng)] = None
    return list(names)
