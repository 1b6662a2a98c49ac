"""What a random rule over strings is asked about."""

from random import Random

from megatron_rfft.rules import string_snippets as snippets
from megatron_rfft.rules.random_strings import MARK, NUMBER, A, B, StringRule


def draw_arguments(rng: Random, rule: StringRule, length: int) -> tuple[str | int, ...]:
    """Arguments of the rule: strings whose longer one has ``length`` characters, a character, a number.

    What a loop looks for may stand anywhere, and a number be any, so that counters reach all values up to ``length``.
    """
    characters = snippets.ALPHABETS[rule.alphabet][0]
    text = _random_text(rng, characters, length)
    given: dict[str, str | int] = {}
    mark = text[rng.randrange(length)] if rng.random() < 0.5 else rng.choice(characters)
    if rule.stop is not None:
        text = _with_first(rng, text, mark if rule.stop == MARK else rule.stop, characters, rule.from_left)
    given[A], given[MARK] = text, mark
    if NUMBER in rule.parameters:
        given[NUMBER] = rng.randrange(length + 1 + rule.longest_count)
    if B in rule.parameters:
        other = length if rng.random() < 0.6 else rng.randint((length + 1) // 2, length)
        second = _random_text(rng, characters, other)
        if rule.alike:
            same = rng.randrange(other + 1)
            second = text[:same] + second[same:] if rule.from_left else second[: other - same] + text[length - same :]
        given[A], given[B] = (text, second) if rng.random() < 0.5 else (second, text)
    return tuple(given[name] for name in rule.parameters)


def _random_text(rng: Random, characters: str, length: int) -> str:
    """Characters with repetitions in some texts more than in others; numbers mostly don't begin with 0."""
    if len(characters) > 2 and rng.random() < 0.25:
        characters = rng.sample(characters, rng.randint(2, 4))
    text = "".join(rng.choices(characters, k=length))
    if text[0] == "0" and length > 1 and len(characters) > 2 and rng.random() < 0.9:
        text = rng.choice("123456789") + text[1:]
    return text


def _with_first(rng: Random, text: str, sought: str, characters: str, from_left: bool) -> str:
    """``text`` with ``sought`` first at any place, as likely as each other, or nowhere."""
    place = rng.randrange(len(text) + 1)
    others = characters.replace(sought, "")
    ordered = text if from_left else text[::-1]
    before = "".join(rng.choice(others) if character == sought else character for character in ordered[:place])
    ordered = before + sought * (place < len(text)) + ordered[place + 1 :]
    return ordered if from_left else ordered[::-1]
