"""The lines of a true trace, one by one: what each is for, which loops it stands in, and which loops are done with.

It walks through the rule as the trace does, taking the outcomes of tests from the text, by the grammars in
``megatron_rfft.rules.instrument`` and ``instrument_blocks``. So a line's place says what it is for, and its text need
not: ``result = ''`` may be recited or be an old value, ``seen[0] = True`` a test's evaluation or a statement.
"""

import ast
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum

from megatron_rfft.rules import ANSWER_PREFIX, Rule
from megatron_rfft.rules.blocks import Run, Segment
from megatron_rfft.rules.retell import changed_inside
from megatron_rfft.rules.sharing import lookup_tables
from megatron_rfft.rules.styles import style_of
from megatron_rfft.rules.subset import (
    assignment_targets,
    chained_if,
    is_counter_step,
    is_literal_assignment,
    names_read,
    parse_rule,
    recite,
)
from megatron_rfft.rules.walk import Walk

NOW = "now, "
SHOWN = re.compile(r"([A-Za-z_]\w*) = ")
ENTERED = ("enter the loop", "enter if")
OUTCOMES = (*ENTERED, "do not enter", "do not enter if")
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
    """The statement at work; None for a line that is recited ahead of it, and for those of no statement."""
    active: Loops
    done: frozenset[int]


class Vocabulary:
    """All lines that traces of a rule in one style may recite, and its headers, with the loops that each stands in."""

    def __init__(self, rule: Rule, style: str):
        self.style = style
        self.parameters = rule.parameters
        self.function = parse_rule(rule.source)
        self.grammar = style_of(style, self.function)
        self.tables = lookup_tables(self.function)
        self.recited: set[str] = set()
        self.numbers: dict[int, int] = {}
        """Of loops, by their id."""
        self.inside: dict[int, set[int]] = {}
        """For each loop the loops within it."""
        self._places: dict[str, set[Loops]] = {}
        num_loops = sum(isinstance(node, ast.While) for node in ast.walk(self.function))
        self._return_header = f"{2 + num_loops}. Return"
        self._literals: set[str] = set()
        if style != "scratchpad":
            self._place(self.grammar.start.removesuffix("\n"), ())
            self._block(self.function.body, ())

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

    def segments(self, body: list[ast.stmt]) -> Iterable[Segment | ast.stmt]:
        """The statements of a block, in the style ``blocks`` as runs."""
        return self.grammar.layout.segments(body) if self.grammar.layout else body

    def recitation(self, statement: ast.stmt, is_chained: bool = False) -> list[str]:
        """The lines that recite ``statement``; ``is_chained`` tells the ``elif`` from the ``if``."""
        if self.grammar.layout and isinstance(statement, ast.If):
            return self.grammar.layout.recited_with(statement, "elif" if is_chained else "if")
        return [self.grammar.recitation(statement).removesuffix("\n")]

    def otherwise(self, branch: ast.If) -> list[str]:
        """The lines that recite the ``else`` of ``branch``."""
        if self.grammar.layout:
            return self.grammar.layout.recited_otherwise(branch)
        return [self.grammar.otherwise(branch).removesuffix("\n")]

    def _place(self, text: str, loops: Loops) -> None:
        self._places.setdefault(text, set()).add(loops)

    def _recite(self, lines: list[str], loops: Loops) -> None:
        for line in lines:
            self.recited.add(line)
            self._place(line, loops)

    def _block(self, body: list[ast.stmt], loops: Loops, is_recited: bool = False) -> None:
        for segment in self.segments(body):
            match segment:
                case Run():
                    if not is_recited:
                        self._recite(segment.lines, loops)
                        self._literals.update(map(recite, filter(is_literal_assignment, segment.statements)))
                case ast.While():
                    self._loop(segment, loops)
                case ast.If():
                    self._branch(segment, loops)
                case _:
                    self._recite(self.recitation(segment), loops)
                    if is_literal_assignment(segment) and self.grammar.has_code:
                        self._literals.add(recite(segment))
                    if isinstance(segment, ast.Return) and self.grammar.has_headers:
                        self._place(self._return_header, loops)
            is_recited = False

    def _branch(self, branch: ast.If, loops: Loops, is_chained: bool = False) -> None:
        self._recite(self.recitation(branch, is_chained), loops)
        self._block(branch.body, loops, is_recited=True)
        chained = chained_if(branch.orelse)
        if chained:
            self._branch(chained, loops, is_chained=True)
        elif branch.orelse:
            self._recite(self.otherwise(branch), loops)
            self._block(branch.orelse, loops, is_recited=True)

    def _loop(self, loop: ast.While, loops: Loops) -> None:
        number = self.numbers[id(loop)] = len(self.numbers) + 1
        inside = (*loops, number)
        self.inside[number] = set()
        for outer in loops:
            self.inside[outer].add(number)
        if self.grammar.has_headers:
            self._place(f"{number + 1}. {self.grammar.loop_title(loop, len(loops))}", loops)
            self._place(f"{number + 1}.1 One iteration", inside)
        self._recite(self.recitation(loop), inside)
        self._block(loop.body, inside)


def read_trace(vocabulary: Vocabulary, text: str) -> Iterator[TraceLine]:
    """The lines of the true trace ``text``."""
    if vocabulary.style == "scratchpad":
        for line in text.split("\n"):
            role = Role.ANSWER if line.startswith(ANSWER_PREFIX) else Role.STATE
            yield TraceLine(line, role, None, (), frozenset())
        return
    yield from _Reader(vocabulary, text.split("\n")).read()


Lines = Generator[
    TraceLine, None, str | None
]  # yields lines, returns what leaves a block: break, continue, return, or None


class _Reader(Walk):
    """Follows the rule while it reads."""

    def __init__(self, vocabulary: Vocabulary, lines: list[str]):
        self.vocabulary = vocabulary
        self.grammar = vocabulary.grammar
        self.lines = lines
        self.at = 0
        self.active: list[int] = []
        self.done: set[int] = set()

    def read(self) -> Iterator[TraceLine]:
        yield self.take(Role.HEADER)
        for _ in self.vocabulary.parameters:
            yield self.take(Role.ARGUMENT)
        yield from self.block(self.vocabulary.function.body)
        yield self.take(Role.ANSWER)

    def segments(self, body: list[ast.stmt]) -> Iterable[Run | ast.stmt]:
        return self.vocabulary.segments(body)

    def leave(self, statement: ast.Return) -> Lines:
        if self.grammar.has_headers:
            yield self.take(Role.HEADER)
        yield from self.recited(self.vocabulary.recitation(statement), statement)
        yield from self.old_values(names_read(statement), statement, is_shown=True)
        yield from self.until(lambda line: line.startswith(ANSWER_PREFIX), statement)
        return "return"

    def statement(self, statement: ast.stmt) -> Lines:
        yield from self.recited(self.vocabulary.recitation(statement), statement)
        yield from self.old_values(names_read(statement), statement, is_shown=is_counter_step(statement))
        if not is_literal_assignment(statement):
            yield from self.results(statement)
        return _leaving(statement)

    def run(self, run: Run, is_recited: bool) -> Lines:
        if not is_recited:
            for statement in run.statements:
                yield self.take(Role.RECITATION, statement if run.shows_itself else None)
        for _ in run.shown:
            yield self.take(Role.OLD, run.statements[0])
        for statement in run.statements:
            if is_literal_assignment(statement):
                if is_recited or not run.shows_itself:
                    yield self.take(Role.NEW, statement)
            else:
                yield from self.results(statement)
        return _leaving(run.statements[-1])

    def loop(self, loop: ast.While) -> Lines:
        number = self.vocabulary.numbers[id(loop)]
        if self.grammar.has_headers:
            yield self.take(Role.HEADER)
        self.active.append(number)
        self.done.discard(number)
        leave = None
        while leave != "break":
            self.done -= self.vocabulary.inside[number]  # they may be entered again in this pass
            yield from self.recited(self.vocabulary.recitation(loop), loop)
            yield from self.old_values(names_read(loop), loop, is_shown=True)
            if not (yield from self.outcome(loop)):
                break
            if self.grammar.has_headers:
                yield self.take(Role.HEADER)
            leave = yield from self.block(loop.body)
            if leave == "return":
                return leave
        self.done.add(self.active.pop())
        return None

    def branch(self, branch: ast.If, is_chained: bool = False) -> Lines:
        yield from self.recited(self.vocabulary.recitation(branch, is_chained), branch)
        yield from self.old_values(names_read(branch), branch)
        if (yield from self.outcome(branch)):
            return (yield from self.block(branch.body, is_recited=True))
        if chained := chained_if(branch.orelse):
            return (yield from self.branch(chained, is_chained=True))
        if branch.orelse:
            yield from self.recited(self.vocabulary.otherwise(branch), None)
        return (yield from self.block(branch.orelse, is_recited=True))

    def recited(self, lines: list[str], statement: ast.stmt | None) -> Iterator[TraceLine]:
        for _ in lines:
            yield self.take(Role.RECITATION, statement)
            statement = None

    def old_values(self, names: list[str], statement: ast.stmt, is_shown: bool = False) -> Iterator[TraceLine]:
        if is_shown or self.grammar.shows_reads:
            for _ in (name for name in names if name not in self.vocabulary.tables):
                yield self.take(Role.OLD, statement)

    def outcome(self, statement: ast.While | ast.If) -> Generator[TraceLine, None, bool]:
        yield from self.until(lambda line: line in OUTCOMES, statement)
        line = self.take(Role.OUTCOME, statement)
        yield line
        return line.text in ENTERED

    def results(self, statement: ast.stmt) -> Iterator[TraceLine]:
        """The lines of new values, and of the evaluations that lead to them."""
        if not self.grammar.shows_reads:
            while self.lines[self.at].startswith(NOW):
                yield self.take(Role.NEW, statement)
            return
        for _ in range(_num_results(statement)):
            yield from self.until(lambda line: line.startswith(NOW), statement)
            yield self.take(Role.NEW, statement)

    def until(self, is_end: Callable[[str], bool], statement: ast.stmt) -> Iterator[TraceLine]:
        while not is_end(self.lines[self.at]):
            yield self.take(Role.NEW if self.lines[self.at].startswith(NOW) else Role.CHAIN, statement)

    def take(self, role: Role, statement: ast.stmt | None = None) -> TraceLine:
        self.at += 1
        return TraceLine(self.lines[self.at - 1], role, statement, tuple(self.active), frozenset(self.done))


def _leaving(statement: ast.stmt) -> str | None:
    return type(statement).__name__.lower() if isinstance(statement, ast.Break | ast.Continue) else None


def _num_results(statement: ast.stmt) -> int:
    """Lines of new values that a statement has where all are shown."""
    if not isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr):
        return 0
    targets = assignment_targets(statement)
    inside = [target for target in targets if isinstance(target, ast.Subscript)]
    is_unpacking = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple)
    if is_unpacking and isinstance(statement.value, ast.Tuple) and len(statement.value.elts) == len(targets) > 1:
        is_unpacking = False
    told = len(targets) - len(inside) if is_unpacking else len(targets)
    return told + len(changed_inside(statement))
