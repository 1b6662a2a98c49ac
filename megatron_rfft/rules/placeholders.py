"""Stand-ins for names: a rule is drawn, instrumented and run with these, and gets its names in the finished text.

A stand-in is one character of a script (Yi) that no rule and no question is written in, and a Python identifier.
"""

from collections.abc import Iterable, Mapping

PLACEHOLDERS = tuple(map(chr, range(0xA000, 0xA100)))


def put_names(text: str, names: Iterable[tuple[str, str]]) -> str:
    """``text`` with each stand-in replaced by its name; ``names`` are pairs of the two.

    One replacement after another takes a tenth of ``str.translate``'s time, which looks at every character.
    """
    for placeholder, name in names:
        text = text.replace(placeholder, name)
    return text


def has_placeholder(text: str) -> bool:
    """Whether a stand-in occurs in ``text``, so that it can't be told from one of a rule's."""
    return not text.isascii() and any(PLACEHOLDERS[0] <= character <= PLACEHOLDERS[-1] for character in text)


def by_name(names: Mapping[str, str]) -> dict[str, str]:
    """Name -> stand-in, from stand-in -> name."""
    return {name: placeholder for placeholder, name in names.items()}
