"""Stand-ins for names: a rule is drawn, instrumented and run with these, and gets its names in the finished text.

A stand-in is a single character and a Python identifier: a letter with an accent in random rules, whose texts have
none (texts of one byte a character are the fastest to build), and one of the Yi script in the rules of tasks.
"""

from collections.abc import Iterable

ACCENTED = tuple(character for character in map(chr, range(0xC0, 0x100)) if character.isidentifier())
YI = tuple(map(chr, range(0xA000, 0xA100)))


def put_names(text: str, names: Iterable[tuple[str, str]]) -> str:
    """``text`` with each stand-in replaced by its name; ``names`` are pairs of the two.

    One replacement after another takes a tenth of ``str.translate``'s time, which looks at every character.
    """
    for placeholder, name in names:
        text = text.replace(placeholder, name)
    return text


def has_yi(text: str) -> bool:
    """Whether one of YI occurs in ``text``, so that it can't be told from a stand-in."""
    return not text.isascii() and any(YI[0] <= character <= YI[-1] for character in text)
