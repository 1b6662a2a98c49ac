"""A rule in words: one numbered sentence for each statement, made from the syntax tree alone.

``3.2.1. Increase total by the integer value of the last character of num.`` The number is the statement's place, so
that number and sentence together stand for one statement. ``elif`` and ``else`` are numbered like the ``if`` before
them and begin with ``Otherwise``.
"""

import ast
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from megatron_rfft.rules.kinds import DICT, LIST, NUMBER, SEQUENCE, STRING, Kinds
from megatron_rfft.rules.phrases import Level, Phrases, enumerate_words, number, ordinal
from megatron_rfft.rules.subset import chained_if, unparse

_EMPTY = {"''": "an empty string", "[]": "an empty list", "{}": "an empty dictionary"}
_AUGMENTED = {
    ast.Sub: "Decrease {} by {}.",
    ast.Mult: "Multiply {} by {}.",
    ast.Div: "Divide {} by {}.",
    ast.FloorDiv: "Divide {} by {} and round down.",
    ast.Mod: "Set {0} to the remainder of {0} divided by {1}.",
}


@dataclass(frozen=True)
class Sentence:
    """One line of the rule in words, without its indentation. ``otherwise`` marks the line of an ``else``."""

    text: str
    statement: ast.stmt  # for an ``else``, the ``if`` that it belongs to
    depth: int
    otherwise: bool = False


def sentences(function: ast.FunctionDef) -> list[Sentence]:
    """The rule's lines in order."""
    return list(_Writer(function).block(function.body, (), ""))


class _Writer:
    def __init__(self, function: ast.FunctionDef) -> None:
        self.kinds = Kinds(function)
        self.phrases = Phrases(self.kinds)

    def block(self, body: list[ast.stmt], place: tuple[int, ...], loop: str) -> Iterator[Sentence]:
        """``loop`` is the number of the loop that ``break`` leaves."""
        count = 0
        for statement in body:
            count += 1
            here = (*place, count)
            match statement:
                case ast.While(test=test):
                    endless = isinstance(test, ast.Constant) and test.value is True
                    head = "Without end" if endless else f"While {self.phrases.clause(test)}"
                    yield self.line(here, f"{head}, repeat:", statement)
                    yield from self.block(statement.body, here, _digits(here))
                case ast.If():
                    count = yield from self.branch(statement, place, count, loop)
                case _:
                    yield self.line(here, self.simple(statement, loop), statement)

    def branch(self, branch: ast.If, place: tuple[int, ...], count: int, loop: str) -> Generator[Sentence, None, int]:
        """The branches are numbered from ``count``; returns the last number."""
        word = "If"
        while True:
            here = (*place, count)
            yield self.line(here, f"{word} {self.phrases.clause(branch.test)}:", branch)
            yield from self.block(branch.body, here, loop)
            chained = chained_if(branch.orelse)
            if not chained:
                break
            branch, word, count = chained, "Otherwise, if", count + 1
        if branch.orelse:
            count += 1
            here = (*place, count)
            yield Sentence(f"{_digits(here)}. Otherwise:", branch, len(place), otherwise=True)
            yield from self.block(branch.orelse, here, loop)
        return count

    def line(self, place: tuple[int, ...], text: str, statement: ast.stmt) -> Sentence:
        return Sentence(f"{_digits(place)}. {text}", statement, len(place) - 1)

    def simple(self, statement: ast.stmt, loop: str) -> str:
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
                return self.several(targets, value)
            case ast.Assign(targets=[target], value=value):
                return self.assign(target, value)
            case ast.AugAssign(target=target, op=operator, value=value):
                return self.augment(target, operator, value)
            case ast.Expr(value=call):
                return self.method(call)
            case ast.Return(value=value):
                return f"Return {self.new(value)}."
            case ast.Break():
                return f"Leave the loop of {loop}."
            case ast.Continue():
                return f"Go back to the test of {loop}."
        return "Do nothing."

    # Assignments

    def new(self, value: ast.expr) -> str:
        """A value at the end of a sentence, where nothing has to hold it together."""
        return _EMPTY.get(unparse(value)) or self.phrases.value(value)

    def assign(self, target: ast.expr, value: ast.expr) -> str:
        taken = self.taken(value)
        if taken and isinstance(target, ast.Name):
            return f"Take {taken} and call it {target.id}."
        return f"Set {self.phrases.closed(target)} to {self.new(value)}."

    def several(self, targets: Sequence[ast.expr], value: ast.expr) -> str:
        if isinstance(value, ast.Tuple) and len(value.elts) == len(targets) > 1:
            pairs = zip(targets, value.elts, strict=True)
            parts = [f"set {self.phrases.closed(t)} to {self.phrases.part(v)}" for t, v in pairs]
            return f"At the same time, {enumerate_words(parts)}."
        names = enumerate_words([self.phrases.closed(target) for target in targets])
        parts = "its parts" if len(targets) > 1 else "its only part"
        taken = self.taken(value)
        if taken and all(isinstance(target, ast.Name) for target in targets):
            return f"Take {taken} and call {parts} {names}."
        return f"Set {names} to the {parts.removeprefix('its ')} of {self.phrases.closed(value)}."

    def taken(self, value: ast.expr) -> str | None:
        """``the first item off xs`` for ``xs.pop(0)``; None for what is not such a call."""
        match value:
            case ast.Call(func=ast.Attribute(value=owner, attr="pop"), args=arguments) if len(arguments) < 2:
                whole, place = self.phrases.closed(owner), number(arguments[0]) if arguments else -1
                if self.kinds.of(owner) == DICT and arguments:
                    return f"the value for {self.phrases.closed(arguments[0])} out of {whole}"
                if isinstance(place, int):
                    return f"the {ordinal(place)} item off {whole}"
                return f"the item at index {self.phrases.place(arguments[0])} out of {whole}"
        return None

    def augment(self, target: ast.expr, operator: ast.operator, value: ast.expr) -> str:
        place, amount = self.phrases.closed(target), self.phrases.value(value)
        if isinstance(operator, ast.Add):
            kinds = {self.kinds.of(target), self.kinds.of(value)}
            if STRING in kinds:
                return f"Add {amount} to the end of {place}."
            if kinds & {LIST, SEQUENCE}:
                return f"Add the items of {self.phrases.closed(value)} to the end of {place}."
            return f"Increase {place} by {amount}." if NUMBER in kinds else f"Add {amount} to {place}."
        if isinstance(operator, ast.Mod) and self.kinds.of(target) == STRING:
            return f"Set {place} to {place} % {self.phrases.closed(value)}."
        if type(operator) in _AUGMENTED:
            return _AUGMENTED[type(operator)].format(place, self.phrases.part(value))
        return f"Set {place} to {self.phrases.value(ast.BinOp(target, operator, value))}."

    # Calls for the sake of the change

    def method(self, call: ast.Call) -> str:
        owner, arguments = call.func.value, call.args
        whole, part = self.phrases.closed(owner), self.phrases.part
        match call.func.attr, arguments:
            case "append", [value]:
                return f"Append {_EMPTY.get(unparse(value)) or part(value)} to {whole}."
            case "extend", [value]:
                return f"Append each item of {self.phrases.closed(value)} to {whole}."
            case "insert", [place, value] if number(place) == 0:
                return f"Insert {part(value)} at the front of {whole}."
            case "insert", [place, value]:
                return f"Insert {part(value)} into {whole} at index {self.phrases.place(place)}."
            case "remove", [value]:
                return f"Remove the first occurrence of {self.phrases.closed(value)} from {whole}."
            case "reverse", []:
                return f"Reverse the order of the items of {whole}."
            case "sort", []:
                return f"Sort the items of {whole} from the smallest to the largest."
            case "clear", []:
                return f"Remove everything from {whole}."
            case "pop", [key] if self.kinds.of(owner) == DICT:
                return f"Remove the key {self.phrases.value(key, Level.CLOSED)} from {whole}."
            case "pop", [] | [_]:
                return f"Take {self.taken(call)} and drop it."
        return f"Carry out `{unparse(call)}`."


def _digits(place: Sequence[int]) -> str:
    return ".".join(map(str, place))
