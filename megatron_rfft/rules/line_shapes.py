"""The shape of a rule's line: the line with marks for its constants, compiled once for all lines that differ in these.

``count += 3`` and ``count += 5`` are one shape. A function of the shape becomes that of a line by other constants in
its code, in a hundredth of the time of parsing, instrumenting and compiling the line.
"""

import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

Constants = tuple[str, ...]
"""The constants of a line in order, as they are written: numbers, and strings without escapes."""

_CONSTANT = re.compile(r"'[^']*'|\d+")
_NUMBER = 1_000_000  # with the constant's place added, the mark of a number: no rule has so large a number
_LETTERS = "БВГДЖЗИЙКЛПФЦЧШЩЫЭЮЯ"  # the marks of strings, by place: no letter of a rule
_KNOWN = (int, str, bool, type(None))


def shape_of(line: str) -> tuple[str, Constants]:
    """The line with marks in place of its constants, and these."""
    constants = tuple(_CONSTANT.findall(line))
    if not constants or len(constants) > len(_LETTERS):
        return line, ()
    places = iter(range(len(constants)))
    return _CONSTANT.sub(lambda match: _mark(next(places), match[0]), line), constants


def has_constants(function: FunctionType, constants: Constants) -> bool:
    """Whether each mark is found in the function of a shape as it is: ``2 * 3`` would have been computed."""
    numbers = range(_NUMBER, _NUMBER + len(constants))
    found = function.__code__.co_consts
    return all(type(c) in _KNOWN and (type(c) is not int or abs(c) < _NUMBER or abs(c) in numbers) for c in found)


def with_constants(function: FunctionType, constants: Constants) -> Callable[..., Any]:
    """The function of a shape with these constants in place of the marks."""
    if not constants:
        return function
    texts = [(_mark(place, text).strip("'"), text.strip("'")) for place, text in enumerate(constants)]

    def put(constant: Any) -> Any:
        if type(constant) is str:
            for mark, text in texts:
                constant = constant.replace(mark, text)
        elif type(constant) is int and abs(constant) >= _NUMBER:
            number = int(constants[abs(constant) - _NUMBER])
            return number if constant > 0 else -number
        return constant

    code = function.__code__
    return FunctionType(code.replace(co_consts=tuple(map(put, code.co_consts))), function.__globals__)


def _mark(place: int, constant: str) -> str:
    return f"'{_LETTERS[place]}'" if constant[0] == "'" else str(_NUMBER + place)
