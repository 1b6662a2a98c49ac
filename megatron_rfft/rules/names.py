"""Names for what a rule has stand-ins for: words that suit it, or random strings."""

from collections.abc import Collection, Sequence
from random import Random

from megatron_rfft.rules import string_snippets as snippets
from megatron_rfft.rules.random_names import random_name
from megatron_rfft.rules.random_strings import FUNCTION, INDEX, MARK, NUMBER, STATES, A, B, StringRule, X, Y

_POOLS = {
    FUNCTION: snippets.FUNCTIONS,
    A: snippets.TEXTS,
    B: snippets.TEXTS,
    MARK: snippets.MARKS,
    NUMBER: snippets.NUMBERS,
    INDEX: snippets.INDEXES,
    X: snippets.ITEMS,
    Y: snippets.ITEMS,
    **dict.fromkeys(STATES, snippets.STATES),
}
VARIABLES = tuple(dict.fromkeys(name for pool in _POOLS.values() if pool is not snippets.FUNCTIONS for name in pool))
"""Names for variables of any kind."""


def draw_names(rng: Random, rule: StringRule, at_random: bool) -> dict[str, str]:
    """A name for each stand-in of a rule over strings."""
    names: dict[str, str] = {}
    for placeholder in rule.placeholders:
        names[placeholder] = draw_name(rng, _POOLS[placeholder], names.values(), at_random)
    return names


def draw_name(rng: Random, pool: Sequence[str], taken: Collection[str], at_random: bool) -> str:
    """A name from ``pool``, or a random string, that is not among those ``taken``."""
    if at_random:
        return random_name(rng, taken)
    while (name := rng.choice(pool)) in taken:
        pass
    return name
