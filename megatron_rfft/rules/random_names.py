"""Random strings as names, as the paper's synthetic rules have them."""

import keyword
from collections.abc import Collection
from random import Random

from megatron_rfft.rules.subset import BUILTINS, METHODS

_LETTERS, _LETTERS_AND_DIGITS = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789"
_TAKEN = frozenset([*keyword.kwlist, *keyword.softkwlist, *BUILTINS, *METHODS])


def random_name(rng: Random, others: Collection[str] = ()) -> str:
    """Two to six letters and digits, a letter first; no word of Python's or of the subset's, and none of ``others``."""
    while True:
        name = rng.choice(_LETTERS) + "".join(rng.choices(_LETTERS_AND_DIGITS, k=rng.randint(1, 5)))
        if name not in _TAKEN and name not in others:
            return name
