"""The lines of a true trace, one by one: what each is for, which loops it stands in, and which loops are done with.

It reads the text alone, by the grammar in ``megatron_rfft.rules.instrument``, and the rule to know what may be recited.
Where a trace shows the same text for two purposes (``result = ''`` is recited, and is an old value), its place decides.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum

from megatron_rfft.rules import ANSWER_PREFIX, Rule
from megatron_rfft.rules.styles import style_of
from megatron_rfft.rules.subset import (
    assignment_targets,
    chained_if,
    is_literal_assignment,
    lookup_tables,
    parse_rule,
    variable_names,
)

NOW = "now, "
SHOWN = re.compile(r"([A-Za-z_]\w*) = ")
OUTCOMES = ("enter the loop", "do not enter", "enter if", "do not enter if")
ALIKE = 0.75  # share of characters in common, as difflib counts it
Loops = tuple[int, ...]  # the loops around a line, outermost first, by their number in the rule


class Role(Enum):
    """What a line of a trace is for."""

    HEADER = "header"
    RECITATION = "recitation"
    ARGUMENT = "argument"
    OLD = "old value"
    CHAIN = "evaluation"
    NEW = "new value"
    OUTCOME = "outcome"
    STATE = "state"
    ANSWER = "answer"


@dataclass(frozen=True)
class TraceLine:
    """One true line. ``active`` are the loops that it stands in, ``done`` those that were left before it."""

    text: str
    role: Role
    statement: ast.stmt | None
    """The statement at work; where several read the same, any of them."""
    active: Loops
    done: frozenset[int]


class Vocabulary:
    """All lines that traces of a rule in one style may recite, and its headers, with the loops that each stands in."""

    def __init__(self, rule: Rule, style: str):
        self.style = style
        self.parameters = rule.parameters
        function = parse_rule(rule.source)
        self.tables = lookup_tables(function)
        self.statements: dict[str, ast.stmt] = {}
        self.recited: set[str] = set()
        self.loop_of_header: dict[str, int] = {}
        self.inside: dict[int, set[int]] = {}
        """For each loop the loops within it."""
        self._places: dict[str, set[Loops]] = {}
        self._num_loops = 0
        self._return_header = f"{2 + sum(isinstance(node, ast.While) for node in ast.walk(function))}. Return"
        self._literals: set[str] = set()
        self._style = style_of(style, function)
        if style != "scratchpad":
            self._place(self._style.start.removesuffix("\n"), ())
            self._block(function.body, ())

    def shown_before(self, statement: ast.stmt) -> list[str]:
        """The variables whose old values follow the recitation of ``statement``."""
        is_loop = isinstance(statement, ast.While)
        if isinstance(statement, ast.While | ast.If):
            read = [statement.test]
        elif not hasattr(statement, "value") or is_literal_assignment(statement):
            read = []
        else:
            own = [statement.target] if isinstance(statement, ast.AugAssign) else []
            targets = [] if isinstance(statement, ast.Return) else assignment_targets(statement)
            read = [*own, statement.value, *(target for target in targets if isinstance(target, ast.Subscript))]
        if not (self._style.shows_reads or is_loop):
            return []
        names = dict.fromkeys(name for part in read for name in variable_names(part))
        return [name for name in names if name not in self.tables]

    def knows(self, text: str) -> bool:
        """Whether ``text`` is a header or may be recited."""
        return text in self._places

    def is_literal(self, text: str) -> bool:
        """Whether ``text`` is recited for ``name = literal``, and so looks like a shown value, too."""
        return text in self._literals

    def stands_in(self, text: str, loop: int) -> bool:
        """Whether a header or recited line stands in ``loop``."""
        return any(loop in place for place in self._places.get(text, ()))

    def resembles(self, text: str) -> bool:
        """Whether ``text`` is much like a line that may be recited."""
        matcher = SequenceMatcher(b=text, autojunk=False)
        for line in self.recited:
            matcher.set_seq1(line)
            if matcher.quick_ratio() > ALIKE and matcher.ratio() > ALIKE:
                return True
        return False

    def _place(self, text: str, loops: Loops) -> None:
        self._places.setdefault(text, set()).add(loops)

    def _block(self, body: list[ast.stmt], loops: Loops) -> None:
        for statement in body:
            line = self._style.recitation(statement).removesuffix("\n")
            self.statements.setdefault(line, statement)
            self.recited.add(line)
            if is_literal_assignment(statement) and self._style.has_code:
                self._literals.add(line)
            match statement:
                case ast.While():
                    self._loop(statement, line, loops)
                case ast.If():
                    self._place(line, loops)
                    self._block(statement.body, loops)
                    if statement.orelse and not chained_if(statement.orelse):
                        otherwise = self._style.otherwise(statement).removesuffix("\n")
                        self.recited.add(otherwise)
                        self._place(otherwise, loops)
                    self._block(statement.orelse, loops)
                case ast.Return() if self._style.has_headers:
                    self._place(line, loops)
                    self._place(self._return_header, loops)
                case _:
                    self._place(line, loops)

    def _loop(self, loop: ast.While, line: str, loops: Loops) -> None:
        self._num_loops += 1
        number = self._num_loops
        inside = (*loops, number)
        self.inside[number] = set()
        for outer in loops:
            self.inside[outer].add(number)
        if self._style.has_headers:
            header = f"{number + 1}. {'Inner' if loops else 'Main'} loop"
            self._place(header, loops)
            self.loop_of_header[header] = number
            self._place(f"{number + 1}.1 One iteration", inside)
        else:
            self.loop_of_header[line] = number
        self._place(line, inside)
        self._block(loop.body, inside)


def read_trace(vocabulary: Vocabulary, text: str) -> Iterator[TraceLine]:
    """The lines of the true trace ``text``."""
    if vocabulary.style == "scratchpad":
        for line in text.split("\n"):
            role = Role.ANSWER if line.startswith(ANSWER_PREFIX) else Role.STATE
            yield TraceLine(line, role, None, (), frozenset())
        return
    yield from _Reader(vocabulary, text.split("\n")).read()


class _Reader:
    """Follows the loops while it reads."""

    def __init__(self, vocabulary: Vocabulary, lines: list[str]):
        self.vocabulary = vocabulary
        self.lines = lines
        self.at = 0
        self.active: list[int] = []
        self.done: set[int] = set()
        self.entered: int | None = None  # the loop whose header has come, but not yet its first test

    def read(self) -> Iterator[TraceLine]:
        yield self.take(Role.HEADER)
        for _ in self.vocabulary.parameters:
            yield self.take(Role.ARGUMENT)
        while self.at < len(self.lines):
            text = self.lines[self.at]
            if text.startswith(ANSWER_PREFIX):
                yield self.take(Role.ANSWER)
            elif statement := self.vocabulary.statements.get(text):
                yield from self.statement(text, statement)
            else:
                if not self.vocabulary.knows(text):
                    raise AssertionError(f"line {self.at + 1} of a true trace has no place in it: {text!r}")
                yield self.take(Role.RECITATION if text in self.vocabulary.recited else Role.HEADER)
                self.entered = self.vocabulary.loop_of_header.get(text, self.entered)

    def statement(self, text: str, statement: ast.stmt) -> Iterator[TraceLine]:
        """A recited line and all that belongs to it."""
        is_loop = isinstance(statement, ast.While)
        if is_loop:
            self.begin_test(text)
        yield self.take(Role.RECITATION, statement)
        for _ in self.vocabulary.shown_before(statement):
            yield self.take(Role.OLD, statement)
        while not self.is_boundary():
            new = self.lines[self.at].startswith(NOW)
            yield self.take(Role.NEW if new else Role.CHAIN, statement)
        if isinstance(statement, ast.While | ast.If):
            left = is_loop and self.lines[self.at] == "do not enter"
            yield self.take(Role.OUTCOME, statement)
            if left:
                self.leave_loop()
        elif isinstance(statement, ast.Break):
            self.leave_loop()

    def begin_test(self, text: str) -> None:
        """A loop is tested for the first time after its header, or in sentences after its number."""
        loop = self.vocabulary.loop_of_header.get(text, self.entered)
        self.entered = None
        if loop is not None and loop not in self.active:
            self.active.append(loop)
            self.done.discard(loop)
        self.done -= self.vocabulary.inside[self.active[-1]]  # they may be entered again in this pass

    def leave_loop(self) -> None:
        self.done.add(self.active.pop())

    def is_boundary(self) -> bool:
        text = self.lines[self.at]
        return text in OUTCOMES or text.startswith(ANSWER_PREFIX) or self.vocabulary.knows(text)

    def take(self, role: Role, statement: ast.stmt | None = None) -> TraceLine:
        self.at += 1
        return TraceLine(self.lines[self.at - 1], role, statement, tuple(self.active), frozenset(self.done))
