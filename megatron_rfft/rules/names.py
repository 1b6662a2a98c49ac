"""Names for what a rule has stand-ins for: words that suit it, or random strings."""

from collections.abc import Collection
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
_ANY = tuple(dict.fromkeys(name for pool in _POOLS.values() if pool is not snippets.FUNCTIONS for name in pool))


def draw_names(rng: Random, rule: StringRule, at_random: bool) -> dict[str, str]:
    """A name for each stand-in of a rule over strings."""
    names: dict[str, str] = {}
    for placeholder in rule.placeholders:
        names[placeholder] = _draw(rng, _POOLS[placeholder], names.values(), at_random)
    return names


def draw_name(rng: Random, taken: Collection[str], at_random: bool, is_function: bool = False) -> str:
    """A name of a function or of any variable that is not among those ``taken``."""
    return _draw(rng, snippets.FUNCTIONS if is_function else _ANY, taken, at_random)


def _draw(rng: Random, pool: tuple[str, ...], taken: Collection[str], at_random: bool) -> str:
    if at_random:
        return random_name(rng, taken)
    while (name := rng.choice(pool)) in taken:
        pass
    return name
