"""Single lines of rules: what is known of each, and the functions that execute and trace it, whatever the rule.

The names of a rule are stand-ins (``placeholders.ACCENTED``), each with its place in a *state*, the list of the
variables' values. What a trace says of a line depends on the line, on its loop's test (``lean`` leaves out what that is
sure to show) and on the tables among its names: these are the key to the compiled lines. They are compiled by the
instrumenter of whole rules, so that there is one grammar; lines that differ in names and constants are compiled once
(``line_shapes``).
"""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from megatron_rfft.rules.changes import changes_in_line
from megatron_rfft.rules.code import STEPS, WRITE, Code, compile_function, load
from megatron_rfft.rules.instrument import Instrumenter
from megatron_rfft.rules.line_shapes import SLOTS, shape_of
from megatron_rfft.rules.sharing import names_used
from megatron_rfft.rules.styles import style_of
from megatron_rfft.rules.subset import (
    BUILTINS,
    base_name,
    in_order,
    is_literal_assignment,
    is_mutation,
    target_names,
    variable_names,
)
from megatron_rfft.rules.texts import kept_in

STEPS_SLOT = 0  # of the number of passes through loops: the place of the function's own name, which is not a variable
BREAK, CONTINUE = "break", "continue"
_STATE = "_state"
_STATE_ITEMS = {ord(name): f"{_STATE}[{place}]" for name, place in SLOTS.items()}

State = list[Any]
Step = Callable[[State, Callable[[str], Any] | None], Any]
"""Executes a statement; returns None, BREAK, CONTINUE or (answer, passes). A test's returns its value."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a line does to names."""

    written: tuple[str, ...]
    changed: tuple[str, ...]
    """Written, or changed by a method."""
    read: frozenset[str]
    """Changed, or read otherwise than by looking something up in them."""
    literal: str | None
    """The variable, if the line sets it to a literal."""
    shown: tuple[str, ...]
    """The variables of a test."""

    def renamed(self, named: Callable[[Iterable[str]], tuple[str, ...]]) -> "Facts":
        """The same for other names."""
        literal = None if self.literal is None else named([self.literal])[0]
        return Facts(named(self.written), named(self.changed), frozenset(named(self.read)), literal, named(self.shown))


class Line:
    """A line without its indentation: what is known of it, and its functions, each made when it is asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._shape = shape = shape_of(text)
        self.facts = _facts_of_shape(shape.text).renamed(shape.named)
        self.is_block = text[-1] == ":"
        self.is_loop = text.startswith("while ")
        self.is_return = text.startswith("return ")
        self.is_elif = text.startswith("elif ")
        self.leaves_early = self.is_return or text == BREAK
        self.node = (self, (), ())  # of a rule's tree, if nothing is below the line
        self._traced: dict[tuple, Step] = {}

    @cached_property
    def plain(self) -> Step:
        """The function of the statement or test, without a trace."""
        step = _plain_shape(self._shape.text)
        return self._shape.fill(step) if self._shape.fits(step) else _plain_shape.__wrapped__(self.text)

    def traced(self, style: str, header: tuple[str, ...], tables: tuple[str, ...], section: int = 0) -> Step:
        """The function that also writes the trace; ``header`` names what the next test of the loop around is sure to
        show, ``section`` is that of a return.
        """
        if header:
            changed = self.facts.changed
            header = tuple(name for name in header if name in changed)
        key = (style, header, tables, section)
        step = self._traced.get(key)
        if step is None:
            shape = self._shape
            step = _traced_shape(shape.text, style, shape.marked(header), shape.marked(sorted(tables)), section)
            step = shape.fill(step) if shape.fits(step) else _traced_shape.__wrapped__(self.text, *key)
            self._traced[key] = step
        return step


_lines: dict[str, tuple[int, Line]] = {}


def line_of(indented: str) -> tuple[int, Line]:
    """The level of a line that is indented by 4 spaces for each, and the line, the same one for equal texts."""
    found = _lines.get(indented)
    if found is None:
        text = indented.lstrip(" ")
        level = (len(indented) - len(text)) // 4
        found = _lines[indented] = level, _line(text)
    return found


_line = cache(Line)


@cache
def _facts_of_shape(line: str) -> Facts:
    if line == "else:":
        return Facts((), (), frozenset(), None, ())
    function = _function(line)
    nodes = list(in_order(function))
    statement = _statement(function, line)
    mutated = [base_name(node.func.value) for node in nodes if is_mutation(node)]
    written = tuple(target_names(statement))
    literal = statement.targets[0].id if is_literal_assignment(statement) else None
    shown = tuple(variable_names(statement.test)) if isinstance(statement, ast.While) else ()
    return Facts(written, (*written, *mutated), frozenset([*names_used(nodes), *mutated]), literal, shown)


@cache
def _traced_shape(line: str, style: str, header: tuple[str, ...], tables: tuple[str, ...], section: int) -> Step:
    function = _function(line)
    statement = _statement(function, line)
    code = Code(statement)
    instrumenter = Instrumenter(function, style_of(style, function))
    instrumenter.tables = set(tables)
    instrumenter.return_section = section
    match statement:
        case ast.While():
            code.add(ast.Return(instrumenter.loop_test(code, statement)))
        case ast.If():
            code.add(ast.Return(instrumenter.branch_test(code, statement)))
        case _:
            instrumenter.block(code, [statement], 0, header)
    is_leaving = isinstance(statement, ast.Break | ast.Continue)
    return _over_state(code.close() if is_leaving else kept_in(code.close(), changes_in_line))


@cache
def _plain_shape(line: str) -> Step:
    text = line.translate(_STATE_ITEMS)  # no text constant of a rule has a stand-in in it
    word, _, rest = text.partition(" ")
    if word in ("while", "if", "elif"):
        text = f"return {rest[:-1]}"
    elif word == "return":
        text = f"return ({rest}), {_STATE}[{STEPS_SLOT}]"
    elif word in (BREAK, CONTINUE):
        text = f"return {word!r}"
    scope: dict[str, Any] = {"__builtins__": BUILTINS}
    exec(f"def line({_STATE}, {WRITE}):\n {text}", scope)
    return scope["line"]


def _over_state(statements: list[ast.stmt]) -> Step:
    """The function that executes the statements on a state."""
    body = [_OverState().visit(part) for part in statements]
    signature = ast.arguments([], [ast.arg(_STATE), ast.arg(WRITE)], None, [], [], None, [])
    return compile_function(ast.FunctionDef("line", signature, body, [], lineno=1, col_offset=0), "<line of a rule>")


class _OverState(ast.NodeTransformer):
    """Variables become items of the state, and what leaves a block is returned."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        slot = STEPS_SLOT if node.id == STEPS else SLOTS.get(node.id)
        return node if slot is None else ast.Subscript(load(_STATE), ast.Constant(slot), node.ctx)

    def visit_Break(self, node: ast.Break) -> ast.stmt:
        return ast.Return(ast.Constant(BREAK))

    def visit_Continue(self, node: ast.Continue) -> ast.stmt:
        return ast.Return(ast.Constant(CONTINUE))


def _function(line: str) -> ast.FunctionDef:
    """A function around the line; ``elif`` follows an ``if``."""
    lines = [line]
    if line.startswith(("while ", "if ", "elif ")):
        lines = ["if True:", " pass"] * line.startswith("elif ") + [line, " pass"]
    return ast.parse("def f():\n" + "\n".join(f" {text}" for text in lines)).body[0]


def _statement(function: ast.FunctionDef, line: str) -> ast.stmt:
    return function.body[0].orelse[0] if line.startswith("elif ") else function.body[0]


class Words(NamedTuple):
    """The lines of a trace around those of the statements."""

    start: str
    loop: str
    enter: str
    stop: str
    enter_if: str
    no_if: str


@cache
def words_of(style: str, section: int, depth: int) -> Words:
    """The words of a style, for the loop that opens a section at this depth."""
    function = _function("pass")
    instrumenter = Instrumenter(function, style_of(style, function))
    title = "Inner loop" if depth else "Main loop"
    loop, entry = instrumenter.loop_header(section, title), instrumenter.pass_header(section)
    texts = [instrumenter.outcome(words) for words in ("enter the loop", "do not enter", "enter if", "do not enter if")]
    enter, stop, enter_if, no_if = ("".join(pieces) for pieces in texts)
    return Words(instrumenter.style.start, "".join(loop), enter + "".join(entry), stop, enter_if, no_if)
