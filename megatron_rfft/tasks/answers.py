"""Judging a model's output: one final answer, on the last line, equal in value and type.

The value is written as Python prints it. A table in ``tools/README.md`` has what else counts, and what does not.
"""

import ast
import re
from typing import Any

from megatron_rfft.rules import ANSWER_PREFIX

_END_OF_THOUGHT = "</think>"  # what a reasoning model writes before is not its answer
_YES_NO = {"yes": True, "no": False}
_WORDS = {"true": True, "false": False, "null": None}
_MARKS = ("**", "`")
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def check_answer(text: str, answer: str) -> bool:
    """Whether ``text`` ends in the line ``So the answer is ...`` with a value equal to ``answer``, a Python literal.

    The line has to be the last one and the only one of its kind. Values compare type by type (``1`` is neither ``True``
    nor ``1.0``).
    """
    lines = [_unmarked(line.strip()) for line in text.rpartition(_END_OF_THOUGHT)[2].rstrip().split("\n")]
    if sum(line.startswith(ANSWER_PREFIX) for line in lines) != 1 or not lines[-1].startswith(ANSWER_PREFIX):
        return False
    stated, expected = lines[-1].removeprefix(ANSWER_PREFIX).strip(), _literal(answer)
    return _equals(stated, expected) or _equals(_unmarked(stated), expected)


def _unmarked(text: str) -> str:
    """``text`` without Markdown's marks around all of it."""
    for mark in _MARKS:
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            return text.removeprefix(mark).removesuffix(mark).strip()
    return text


def _equals(stated: str, expected: Any) -> bool:
    value = _stated_value(stated)
    if isinstance(expected, str) and not isinstance(value, str):
        value = stated  # a bare 12 for the string '12'
    if isinstance(expected, bool) and isinstance(value, str):
        value = (_YES_NO | _WORDS).get(value.lower(), value) if value == stated else value
    return _same(value, expected)


def _literal(answer: str) -> Any:
    try:
        return ast.literal_eval(answer)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return answer


def _stated_value(text: str) -> Any:
    """The value that ``text`` writes as Python or JSON prints it; the text itself if it is not one."""
    try:
        body = ast.parse(text, mode="eval").body
        whole = body.col_offset == 0 and body.end_col_offset == len(text.encode())  # no comment, no brackets
        return _value(body, text) if whole else text
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def _value(node: ast.expr, source: str) -> Any:
    match node:
        case ast.List(items):
            return [_value(item, source) for item in items]
        case ast.Tuple(items):
            return tuple(_value(item, source) for item in items)
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return {_value(key, source): _value(value, source) for key, value in pairs}
        case ast.Name(word) if word in _WORDS:
            return _WORDS[word]
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)) if type(number) is not bool:
            return -_value(node.operand, source)
        case ast.Constant(str() as string):
            if _STRING.fullmatch(ast.get_source_segment(source, node) or ""):
                return string
        case ast.Constant(value):
            if ast.get_source_segment(source, node) == repr(value):
                return value
    raise ValueError(f"{source!r} is not written as a value is printed")


def _same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return left == right
