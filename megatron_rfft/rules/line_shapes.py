"""The shape of a rule's line: the line with marks for its names and constants.

``count += 3`` and ``total += 5`` have one shape, and only shapes are parsed, instrumented and compiled. The function of
a shape becomes that of a line by other constants in its code, in a hundredth of that time.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from megatron_rfft.rules.placeholders import ACCENTED

NUM_SLOTS = 24  # names in a rule, at most: the stand-ins behind these are free to be marks
SLOTS = {name: place for place, name in enumerate(ACCENTED)}
"""For each stand-in of a name the place of its variable in a state, which is a constant in a line's function."""

_PART = re.compile(rf"'[^']*'|\d+|[{''.join(ACCENTED)}]")
_NUMBER = 1_000_000  # with the constant's place added, the mark of a number: no rule has so large a number
_LETTERS = "БВГДЖЗИЙКЛПФЦЧШЩЫЭЮЯ"  # the marks of strings, by place: no letter of a rule
_NAMES = ACCENTED[NUM_SLOTS:]  # the marks of names
_KNOWN = (int, str, bool, type(None))


@dataclass(frozen=True, slots=True)
class Shape:
    """A line's shape, and what its marks stand for."""

    text: str
    constants: tuple[str, ...]
    """As they are written, each with a mark of its own: numbers, and strings without escapes."""
    names: tuple[str, ...]
    """Each name once."""

    def marked(self, names: Iterable[str]) -> tuple[str, ...]:
        """The marks of these names of the line."""
        return tuple(_NAMES[self.names.index(name)] for name in names)

    def named(self, marks: Iterable[str]) -> tuple[str, ...]:
        """The names that these marks stand for; a builtin's stands for itself."""
        given = dict(zip(_NAMES, self.names, strict=False))
        return tuple(given.get(mark, mark) for mark in marks)

    def fits(self, function: FunctionType) -> bool:
        """Whether each mark is a constant of the shape's ``function`` as it is: ``2 * 3`` would have been computed."""
        numbers = {*range(_NUMBER, _NUMBER + len(self.constants)), *SLOTS.values()}
        found = function.__code__.co_consts
        return all(type(c) in _KNOWN and (type(c) is not int or abs(c) in numbers) for c in found)

    def fill(self, function: FunctionType) -> Callable[..., Any]:
        """The line's function, from that of the shape."""
        texts = [(_mark(place, text).strip("'"), text.strip("'")) for place, text in enumerate(self.constants)]
        texts += zip(_NAMES, self.names, strict=False)

        def put(constant: Any) -> Any:
            if type(constant) is str:
                for mark, text in texts:
                    constant = constant.replace(mark, text)
            elif type(constant) is int and abs(constant) >= _NUMBER:
                number = int(self.constants[abs(constant) - _NUMBER])
                return number if constant > 0 else -number
            elif type(constant) is int and constant >= NUM_SLOTS:
                return SLOTS[self.names[constant - NUM_SLOTS]]
            return constant

        code = function.__code__
        return FunctionType(code.replace(co_consts=tuple(map(put, code.co_consts))), function.__globals__)


def shape_of(line: str) -> Shape:
    """The shape of a line without its indentation."""
    constants: list[str] = []
    names: list[str] = []

    def mark(match: re.Match) -> str:
        part = match[0]
        if part in SLOTS:
            if part not in names:
                names.append(part)
            return _NAMES[names.index(part)]
        constants.append(part)
        return _mark(len(constants) - 1, part)

    return Shape(_PART.sub(mark, line), tuple(constants), tuple(names))


def _mark(place: int, constant: str) -> str:
    return f"'{_LETTERS[place]}'" if constant[0] == "'" else str(_NUMBER + place)
