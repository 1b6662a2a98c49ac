"""Judging a model's output: one final answer, on the last line, equal in value and type."""

import ast
from typing import Any

from megatron_rfft.rules import ANSWER_PREFIX

_END_OF_THOUGHT = "</think>"  # what a reasoning model writes before is not its answer
_YES_NO = {"yes": True, "no": False}


def check_answer(text: str, answer: str) -> bool:
    """Whether ``text`` ends in the line ``So the answer is ...`` with a value equal to ``answer``, a Python literal.

    The line has to be the last one and the only one of its kind. Lists, numbers, True and False compare as literals,
    type by type (``1`` is neither ``True`` nor ``1.0``); an expected string may be written with or without quotes, and
    yes and no are accepted for True and False.
    """
    lines = text.rpartition(_END_OF_THOUGHT)[2].rstrip().split("\n")
    if sum(line.startswith(ANSWER_PREFIX) for line in lines) != 1 or not lines[-1].startswith(ANSWER_PREFIX):
        return False
    return _equals(lines[-1].removeprefix(ANSWER_PREFIX).strip(), _literal(answer, otherwise=answer))


def _equals(stated: str, expected: Any) -> bool:
    value = _literal(stated, otherwise=stated)
    if isinstance(expected, str) and not isinstance(value, str):
        value = stated  # a bare 12 for the string '12'
    if isinstance(expected, bool) and isinstance(value, str):
        value = _YES_NO.get(value.lower(), value)
    return _same(value, expected)


def _literal(text: str, otherwise: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return otherwise


def _same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return left == right
