"""Expressions in words: ``int(num[-1]) + carry`` is ``(the integer value of the last character of num) + carry``.

Every phrase stands for one expression. Phrases are put in parentheses wherever their end or their beginning would be
open to doubt; arithmetic keeps its symbols.
"""

import ast
from collections.abc import Sequence
from enum import IntEnum

from megatron_rfft.rules.kinds import BOOL, DICT, LIST, NUMBER, SEQUENCE, STRING, UNKNOWN, Kinds
from megatron_rfft.rules.subset import STRING_TESTS

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_COMPARISONS = {
    ast.Eq: "{} equals {}",
    ast.NotEq: "{} does not equal {}",
    ast.Lt: "{} is less than {}",
    ast.LtE: "{} is at most {}",
    ast.Gt: "{} is greater than {}",
    ast.GtE: "{} is at least {}",
}
_TESTS = {  # method: is, is not, and the same of a single character
    "isalnum": ("consists of one or more letters or digits", "is a letter or a digit"),
    "isalpha": ("consists of one or more letters", "is a letter"),
    "isdigit": ("consists of one or more digits", "is a digit"),
    "isspace": ("consists of one or more white-space characters", "is a white-space character"),
    "islower": ("is in lower case", "is in lower case"),
    "isupper": ("is in upper case", "is in upper case"),
    "startswith": ("starts with {}", "starts with {}"),
    "endswith": ("ends with {}", "ends with {}"),
}
_FUNCTIONS = {
    "abs": "the absolute value of {}",
    "bool": "the truth value of {}",
    "chr": "the character with code {}",
    "int": "the integer value of {}",
    "len": "the length of {}",
    "lower": "the lower-case form of {}",
    "ord": "the character code of {}",
    "str": "the string form of {}",
    "upper": "the upper-case form of {}",
    "copy": "a copy of {}",
}
_PRECEDENCE = {ast.BitOr: 1, ast.BitXor: 2, ast.BitAnd: 3, ast.LShift: 4, ast.RShift: 4, ast.Add: 5, ast.Sub: 5}
_SIGN = 7  # binds closer than every operator between two operands


class Level(IntEnum):
    """How tightly a phrase holds together."""

    ATOM = 0  # a name, a constant, a display in brackets
    CLOSED = 1  # the length of xs
    OPERATION = 2  # a + b
    OPEN = 3  # xs without its first item
    CLAUSE = 4  # whether a equals b


class Phrases:
    """Words for the expressions of one rule."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds

    # Values

    def value(self, node: ast.expr, most: Level = Level.CLAUSE) -> str:
        """The expression as a noun phrase; in parentheses if it is looser than ``most``."""
        phrase, level = self.phrase(node)
        return f"({phrase})" if level > most else phrase

    def part(self, node: ast.expr) -> str:
        """For a place within a sentence where a phrase without ``and``, ``with`` and the like is clear by itself."""
        return self.value(node, Level.OPERATION)

    def closed(self, node: ast.expr) -> str:
        """For the place behind ``of``."""
        return self.value(node, Level.CLOSED)

    def phrase(self, node: ast.expr) -> tuple[str, Level]:
        match node:
            case ast.Constant() | ast.Name():
                return ast.unparse(node), Level.ATOM
            case ast.List(elts=elements):
                return f"[{self.parts(elements)}]", Level.ATOM
            case ast.Tuple(elts=elements):
                return f"({self.parts(elements)}{',' * (len(elements) == 1)})", Level.ATOM
            case ast.Dict(keys=keys, values=values):
                items = (f"{self.part(key)}: {self.part(value)}" for key, value in zip(keys, values, strict=True))
                return "{" + ", ".join(items) + "}", Level.ATOM
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.opposite(node, operand)
            case ast.UnaryOp(op=operator, operand=operand):
                sign = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}[type(operator)]
                return f"{sign}{self.value(operand, Level.ATOM)}", Level.OPERATION
            case ast.BinOp():
                return self.operation(node)
            case ast.Compare():
                return f"whether {self.clause(node)}", Level.CLAUSE
            case ast.BoolOp(op=operator, values=values):
                if self.is_truth(node):
                    return f"whether {self.clause(node)}", Level.CLAUSE
                word = "and" if isinstance(operator, ast.And) else "or"
                return f"the logical {word} of {enumerate_words([self.part(v) for v in values])}", Level.OPEN
            case ast.Subscript(value=value, slice=ast.Slice() as cut):
                return self.slice(value, cut)
            case ast.Subscript(value=value, slice=index):
                return self.entry(value, index)
            case ast.Call():
                return self.call(node)
        raise TypeError(f"no words for {ast.unparse(node)}")  # the subset has no other expressions

    def parts(self, nodes: Sequence[ast.expr]) -> str:
        return ", ".join(map(self.part, nodes))

    def is_truth(self, node: ast.expr) -> bool:
        """Whether the value is surely True or False, so that it may be told as ``whether ...``."""
        return self.kinds.of(node) == BOOL

    def opposite(self, node: ast.UnaryOp, operand: ast.expr) -> tuple[str, Level]:
        if isinstance(operand, ast.Name | ast.Subscript | ast.Call) and not self.is_test(operand):
            kind = self.kinds.of(operand)
            if kind == BOOL:
                return f"the opposite of {self.closed(operand)}", Level.CLOSED
            if kind == UNKNOWN:
                return f"the logical opposite of {self.closed(operand)}", Level.CLOSED
        return f"whether {self.clause(node)}", Level.CLAUSE

    def operation(self, node: ast.BinOp) -> tuple[str, Level]:
        if self.is_joined(node):
            return " followed by ".join(self.joined(node)), Level.OPEN
        own = _PRECEDENCE.get(type(node.op), 6)
        symbol = ast.unparse(ast.BinOp(ast.Name("a"), node.op, ast.Name("b")))[1:-1]
        return f"{self.operand(node.left, own)}{symbol}{self.operand(node.right, own + 1)}", Level.OPERATION

    def operand(self, node: ast.expr, least: int) -> str:
        """A side of an operator: in parentheses unless it is an atom or an operator that binds close enough."""
        phrase, level = self.phrase(node)
        binds = _PRECEDENCE.get(type(node.op), 6) if isinstance(node, ast.BinOp) else _SIGN
        return phrase if level == Level.ATOM or (level == Level.OPERATION and binds >= least) else f"({phrase})"

    def joined(self, node: ast.BinOp) -> list[str]:
        """The parts of ``a + b + c``, strings or lists. Only the last needs no parentheses to show where it ends."""
        parts = [node.right]
        while self.is_joined(node.left):
            node = node.left
            parts.append(node.right)
        parts.append(node.left)
        return [*(self.value(part, Level.ATOM) for part in parts[:0:-1]), self.closed(parts[0])]

    def is_joined(self, node: ast.expr) -> bool:
        is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
        return is_sum and self.kinds.of(node) in (STRING, LIST, SEQUENCE)

    def item(self, node: ast.expr) -> str:
        """What the value consists of."""
        return {STRING: "character", LIST: "item"}.get(self.kinds.of(node), "element")

    def entry(self, value: ast.expr, index: ast.expr) -> tuple[str, Level]:
        kind, place = self.kinds.of(value), number(index)
        if kind == DICT:
            return f"the value for {self.closed(index)} in {self.closed(value)}", Level.CLOSED
        if isinstance(place, int):
            return f"the {ordinal(place)} {self.item(value)} of {self.closed(value)}", Level.CLOSED
        if kind in (LIST, STRING, SEQUENCE):
            return f"the {self.item(value)} at index {self.place(index)} of {self.closed(value)}", Level.CLOSED
        return f"the entry for {self.closed(index)} in {self.closed(value)}", Level.CLOSED

    def place(self, index: ast.expr) -> str:
        phrase, level = self.phrase(index)
        return phrase if level in (Level.ATOM, Level.OPERATION) else f"({phrase})"

    def subject(self, node: ast.expr) -> str:
        """The noun phrase that a verb follows: never in the plural."""
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            phrase, level = self.slice(node.value, node.slice, plural=False)
            return f"({phrase})" if level > Level.OPERATION else phrase
        return self.part(node)

    def slice(self, value: ast.expr, cut: ast.Slice, plural: bool = True) -> tuple[str, Level]:
        whole, item = self.closed(value), self.item(value)
        match number(cut.lower), number(cut.upper), number(cut.step):
            case None, None, None:
                return f"a copy of {whole}", Level.CLOSED
            case None, None, -1:
                return f"the reverse of {whole}", Level.CLOSED
            case 1, -1, None:
                return f"{whole} without its first and its last {item}", Level.OPEN
            case int(first), None, None if first > 0:
                return f"{whole} without its first {several(first, item)}", Level.OPEN
            case None, int(last), None if last < 0:
                return f"{whole} without its last {several(-last, item)}", Level.OPEN
            case None, int(first), None if first > 1 and plural:
                return f"the first {several(first, item)} of {whole}", Level.CLOSED
            case int(last), None, None if last < -1 and plural:
                return f"the last {several(-last, item)} of {whole}", Level.CLOSED
        start = f" from {self.index(cut.lower)}" if cut.lower else ""
        end = f" {'to ' if cut.lower else ''}before {self.index(cut.upper)}" if cut.upper else " on" * bool(cut.lower)
        step = f" in steps of {self.place(cut.step)}" if cut.step else ""
        return f"the part of {whole}{start}{end}{step}", Level.OPEN

    def index(self, node: ast.expr) -> str:
        place = number(node)
        if isinstance(place, int) and place < 0:
            return f"its {ordinal(place)} element"
        return f"index {self.place(node)}"

    def call(self, node: ast.Call) -> tuple[str, Level]:
        match node:
            case ast.Call(func=ast.Name(id="max" | "min" as name), args=arguments):
                word = ("larger" if name == "max" else "smaller") if len(arguments) == 2 else ""
                word = word or ("largest" if name == "max" else "smallest")
                return f"the {word} of {enumerate_words([self.part(a) for a in arguments])}", Level.OPEN
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return _FUNCTIONS[name].format(self.closed(argument)), Level.CLOSED
            case ast.Call(func=ast.Attribute(value=value, attr="lower" | "upper" | "copy" as name), args=[]):
                return _FUNCTIONS[name].format(self.closed(value)), Level.CLOSED
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[key, *default]) if len(default) < 2:
                other = self.part(default[0]) if default else "None"
                return f"the value for {self.closed(key)} in {self.closed(value)}, or {other} if absent", Level.CLAUSE
            case ast.Call(func=ast.Attribute(value=value, attr="pop"), args=arguments) if len(arguments) < 2:
                return self.popped(value, arguments)
        if self.is_test(node):
            return f"whether {self.clause(node)}", Level.CLAUSE
        return self.code(node), Level.CLOSED

    def code(self, node: ast.expr) -> str:
        """A call with arguments that there are no words for, in code."""
        return f"the result of `{ast.unparse(node)}`"

    def popped(self, value: ast.expr, arguments: list[ast.expr]) -> tuple[str, Level]:
        """``xs.pop()`` within a larger expression."""
        whole = self.closed(value)
        if self.kinds.of(value) == DICT and arguments:
            return f"the value taken out of {whole} for {self.closed(arguments[0])}", Level.OPEN
        place = number(arguments[0]) if arguments else -1
        if place in (0, -1):
            return f"the item taken off the {'end' if place else 'front'} of {whole}", Level.CLOSED
        return f"the item taken out of {whole} at index {self.place(arguments[0])}", Level.OPEN

    # Tests

    def clause(self, node: ast.expr, holds: bool = True) -> str:
        """The expression as a clause that is true if the value counts as true (false, if not ``holds``)."""
        match node:
            case ast.BoolOp(op=operator, values=values) if holds:
                word = " and " if isinstance(operator, ast.And) else " or "
                return word.join(f"({self.clause(v)})" if isinstance(v, ast.BoolOp) else self.clause(v) for v in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand) if holds and not is_composed(operand):
                return self.clause(operand, holds=False)
            case ast.UnaryOp(op=ast.Not(), operand=operand) if holds:
                return f"it is not true that ({self.clause(operand)})"
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self.comparison(left, operator, right)
            case ast.Call() if self.is_test(node):
                return self.string_test(node, holds)
        subject = self.subject(node)
        kind = self.kinds.of(node)
        if kind == BOOL:
            return f"{subject} is {'true' if holds else 'false'}"
        if kind == UNKNOWN:
            return f"{subject} counts as {'true' if holds else 'false'}"
        return f"{subject} is {'not ' if holds else ''}{0 if kind == NUMBER else 'empty'}"

    def comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> str:
        sides = self.subject(left), self.subject(right)
        if isinstance(operator, ast.In | ast.NotIn):
            verb = "is" if isinstance(operator, ast.In) else "is not"
            return f"{sides[0]} {verb} {'a key of' if self.kinds.of(right) == DICT else 'in'} {sides[1]}"
        return _COMPARISONS[type(operator)].format(*sides)

    def is_test(self, node: ast.expr) -> bool:
        """Whether it is ``s.isdigit()`` or the like, with the arguments that there are words for."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            return False
        return node.func.attr in STRING_TESTS and len(node.args) == _TESTS[node.func.attr][0].count("{")

    def string_test(self, node: ast.Call, holds: bool) -> str:
        value = node.func.value
        is_character = isinstance(value, ast.Subscript) and not isinstance(value.slice, ast.Slice)
        is_character = is_character and self.kinds.of(value.value) == STRING
        words = _TESTS[node.func.attr][is_character].format(*map(self.part, node.args))
        verb, rest = words.split(" ", 1)
        if not holds:
            verb = "is not" if verb == "is" else "does not " + verb.removesuffix("s")
        return f"{self.subject(value)} {verb} {rest}"


def is_composed(node: ast.expr) -> bool:
    """Whether ``not node`` needs words of its own, because the clause of ``node`` has no verb of its own to negate."""
    return isinstance(node, ast.BoolOp | ast.Compare) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def enumerate_words(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def number(node: ast.expr | None) -> int | str | None:
    """The number that the node is; None for no node, its source for any other node."""
    if node is None:
        return None
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
    return value if type(value) is int else ast.unparse(node)


def ordinal(place: int) -> str:
    """``first`` for the place 0, ``second-to-last`` for -2."""
    count = place if place >= 0 else -place - 1
    word = _ORDINALS[count] if count < len(_ORDINALS) else f"number-{count + 1}"
    return word if place >= 0 else "last" if place == -1 else f"{word}-to-last"


def several(count: int, item: str) -> str:
    """``item``, or ``3 items``: behind ``first`` or ``last``."""
    return item if count == 1 else f"{count} {item}s"
