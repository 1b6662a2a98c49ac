"""A rule put together from lines that were compiled before: for rules that are traced once and thrown away.

To parse, instrument and compile a rule takes some milliseconds, to trace it a twentieth of that. Random rules differ,
but their lines repeat, since the names are stand-ins (``placeholders``): so each distinct line is compiled once, by the
instrumenter that compiles whole rules, into a function over a list of the variables' values. A rule is then a small
tree of such functions.

What a trace says of a line depends on the line, on its loop's test (``lean`` leaves out what that is sure to show) and
on the tables among its names: these are the key to the compiled lines. The styles in which other parts of the rule
matter (numbered sentences, states) are left to ``Rule``.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from megatron_rfft.rules.code import WRITE, Code, load
from megatron_rfft.rules.instrument import STEPS, Instrumenter, compile_function
from megatron_rfft.rules.placeholders import PLACEHOLDERS
from megatron_rfft.rules.rule import STEP_LIMIT, Rule, StepLimitError, Trace, copy_value
from megatron_rfft.rules.styles import style_of
from megatron_rfft.rules.subset import (
    RuleError,
    base_name,
    in_order,
    is_literal_assignment,
    is_mutation,
    target_names,
    variable_names,
)

STYLES_BY_LINE = ("full", "lean")
_PLAIN = "plain"  # a line that is executed without a trace
_STATE = "_state"
_STEPS = 0  # the place in a state of the number of passes: that of the function's own name, which is no variable
_SLOTS = {name: place for place, name in enumerate(PLACEHOLDERS)}
_BREAK, _CONTINUE = "break", "continue"

State = list[Any]
Step = Callable[[State, Callable[[str], Any]], Any]
"""Executes a statement; returns None, _BREAK, _CONTINUE or (answer, passes)."""


class _Node(NamedTuple):
    """A line with the lines below it and, of an ``if``, those of its ``else``."""

    text: str
    body: "tuple[_Node, ...]" = ()
    otherwise: "tuple[_Node, ...]" = ()


class AssembledRule:
    """What ``Rule`` is, for a canonical source whose names are stand-ins; several times faster to trace once."""

    def __init__(self, source: str, step_limit: int = STEP_LIMIT) -> None:
        self.source = source
        self.step_limit = step_limit
        header, *lines = source.split("\n")
        self.name = header[4]
        self.parameters = tuple(header[6:-2].split(", "))
        self._slots = [_SLOTS[name] for name in self.parameters]
        self._num_slots = 1 + max(_SLOTS[character] for character in set(source) if character in _SLOTS)
        self._body = _tree(lines)
        self._facts = [facts_of(line.strip()) for line in lines]
        self._num_loops = sum(line.lstrip().startswith("while ") for line in lines)

    def trace(self, *arguments: Any, style: str = "full") -> Trace:
        """As ``Rule.trace``."""
        if style not in STYLES_BY_LINE:
            return self._rule.trace(*arguments, style=style)
        pieces = ["1. Initialize\n"]
        pieces += (f"{name} = {value!r}\n" for name, value in zip(self.parameters, arguments, strict=True))
        answer, steps = self._execute(_Assembler(self, style).block(self._body), arguments, pieces.append)
        return Trace("".join(pieces), answer, steps)

    def run(self, *arguments: Any) -> Any:
        """As ``Rule.run``."""
        return self._execute(_Assembler(self, _PLAIN).block(self._body), arguments, None)[0]

    def try_out(self, inputs: "tuple[tuple[Any, ...], ...]") -> tuple[list[Any], bool]:
        """The answers to several tuples of arguments, and whether every test came out both ways.

        A loop's test has to hold once at least; that it fails at last goes without saying.
        """
        assembler = _Assembler(self, _PLAIN, watched=True)
        steps = assembler.block(self._body)
        answers = [self._execute(steps, arguments, None)[0] for arguments in inputs]
        return answers, all(yes and no for yes, no in assembler.outcomes)

    @property
    def sentences(self) -> str:
        """As ``Rule.sentences``."""
        return self._rule.sentences

    @cached_property
    def _rule(self) -> Rule:
        return Rule(self.source, self.step_limit)

    @cached_property
    def tables(self) -> frozenset[str]:
        """As ``subset.lookup_tables``, from what is known of the lines."""
        written = [name for facts in self._facts for name in facts.written]
        constant = {facts.literal for facts in self._facts if facts.literal and written.count(facts.literal) == 1}
        constant.update(name for name in self.parameters if name not in written)
        for facts in self._facts:
            constant -= facts.read
        return frozenset(constant)

    @property
    def return_section(self) -> int:
        return 2 + self._num_loops

    def _execute(self, steps: tuple[Step, ...], arguments: tuple, write: Callable[[str], Any] | None) -> tuple[Any, int]:
        state: State = [None] * self._num_slots
        for slot, argument in zip(self._slots, arguments, strict=True):
            state[slot] = copy_value(argument)
        state[_STEPS] = 0
        try:
            for step in steps:
                if (left := step(state, write)) is not None:
                    return left
        except StepLimitError:
            raise
        except Exception as error:
            raise RuleError(f"rule {self.source!r}: {type(error).__name__}: {error} on {arguments!r:.200}") from error
        raise AssertionError("a rule's last line is a return")


class _Assembler:
    """Makes the steps of a rule's lines in one style."""

    def __init__(self, rule: AssembledRule, style: str, watched: bool = False) -> None:
        self.rule = rule
        self.style = style
        self.watched = watched
        self.outcomes: list[list[bool]] = []  # of each test: whether it held, and whether it failed
        self.sections = 1
        self.tables = rule.tables if style != _PLAIN else frozenset()

    def block(self, nodes: tuple[_Node, ...], depth: int = 0, header: tuple[str, ...] = ()) -> tuple[Step, ...]:
        steps = []
        for node in nodes:
            word = node.text[:6]
            if word == "while ":
                steps.append(self.loop(node, depth))
            elif word.startswith(("if ", "elif ")):
                steps.append(self.branch(node, depth, header))
            else:
                section = self.rule.return_section if word == "return" else 0
                steps.append(compiled_line(node.text, self.style, header, self.tables_in(node.text), section))
        return tuple(steps)

    def tables_in(self, text: str) -> tuple[str, ...]:
        return tuple(name for name in self.tables if name in text) if self.tables else ()

    def test(self, node: _Node) -> Step:
        test = compiled_line(node.text, self.style, (), self.tables_in(node.text), 0)
        return self.watch(test, node.text.startswith("while ")) if self.watched else test

    def watch(self, test: Step, is_loop: bool) -> Step:
        """The test, keeping its outcomes."""
        outcomes = [False, is_loop]
        self.outcomes.append(outcomes)

        def watched(state: State, write: Any) -> Any:
            value = test(state, write)
            outcomes[not value] = True
            return value

        return watched

    def loop(self, node: _Node, depth: int) -> Step:
        self.sections += 1
        words = _words(self.style, self.sections, depth)
        test = self.test(node)
        header = () if self.style != "lean" or _leaves_early(node.body) else facts_of(node.text).shown
        body = self.block(node.body, depth + 1, header)
        limit = self.rule.step_limit

        def loop(state: State, write: Callable[[str], Any]) -> Any:
            if write:
                write(words.loop)
            while test(state, write):
                state[_STEPS] += 1
                if state[_STEPS] > limit:
                    raise StepLimitError(f"a random rule made more than {limit} passes through loops")
                if write:
                    write(words.enter)
                for step in body:
                    left = step(state, write)
                    if left is not None:
                        if left == _BREAK:
                            return None
                        if left == _CONTINUE:
                            break
                        return left
            if write:
                write(words.stop)
            return None

        return loop

    def branch(self, node: _Node, depth: int, header: tuple[str, ...]) -> Step:
        words = _words(self.style, 0, 0)
        test = self.test(node)
        body, chained = self.block(node.body, depth, header), node.otherwise[:1]
        is_chain = bool(chained) and chained[0].text.startswith("elif ")
        otherwise = self.block(node.otherwise, depth, header)
        fails = words.no_if + "else:\n" if otherwise and not is_chain else words.no_if

        def branch(state: State, write: Callable[[str], Any]) -> Any:
            if test(state, write):
                if write:
                    write(words.enter_if)
                steps = body
            else:
                if write:
                    write(fails)
                steps = otherwise
            for step in steps:
                left = step(state, write)
                if left is not None:
                    return left
            return None

        return branch


# What is known of a line, whatever the rule


@dataclass(frozen=True, slots=True)
class Facts:
    """What a line does to names."""

    written: tuple[str, ...]
    read: frozenset[str]
    """Changed, or read otherwise than by looking something up in them."""
    literal: str | None
    """The variable, if the line sets it to a literal."""
    shown: tuple[str, ...]
    """The variables of a test."""


@cache
def facts_of(line: str) -> Facts:
    """The facts of a line without its indentation."""
    if line == "else:":
        return Facts((), frozenset(), None, ())
    function = _function(line)
    nodes = list(in_order(function))
    statement = _statement(function, line)
    looked_up = set()
    for node in nodes:
        if isinstance(node, ast.Subscript | ast.Attribute):
            looked_up.add(id(node.value))
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            looked_up.add(id(node.comparators[0]))
    loads = (node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    read = {node.id for node in loads if id(node) not in looked_up}
    read.update(base_name(node.func.value) for node in nodes if is_mutation(node))
    literal = statement.targets[0].id if is_literal_assignment(statement) else None
    shown = tuple(variable_names(statement.test)) if isinstance(statement, ast.While) else ()
    return Facts(tuple(target_names(statement)), frozenset(read), literal, shown)


@cache
def compiled_line(line: str, style: str, header: tuple[str, ...], tables: tuple[str, ...], section: int) -> Step:
    """The function of a statement, or of the test of a loop or branch; ``section`` is that of a return."""
    function = _function(line)
    statement = _statement(function, line)
    code = Code(statement)
    if style == _PLAIN:
        instrumenter = None
    else:
        instrumenter = Instrumenter(function, style_of(style, function))
        instrumenter.tables = set(tables)
        instrumenter.return_section = section
    match statement, instrumenter:
        case ast.While() | ast.If(), None:
            code.add(ast.Return(statement.test))
        case ast.Return(value=value), None:
            code.add(ast.Return(ast.Tuple([value, load(STEPS)], ast.Load())))
        case _, None:
            code.add(statement)
        case ast.While(), _:
            code.add(ast.Return(instrumenter.loop_test(code, statement)))
        case ast.If(), _:
            code.add(ast.Return(instrumenter.branch_test(code, statement)))
        case _:
            instrumenter.block(code, [statement], 0, header)
    body = [_OverState().visit(part) for part in code.close()]
    signature = ast.arguments([], [ast.arg(_STATE), ast.arg(WRITE)], None, [], [], None, [])
    return compile_function(ast.FunctionDef("line", signature, body, [], lineno=1, col_offset=0), "<line of a rule>")


class _OverState(ast.NodeTransformer):
    """Variables become items of the state, and what leaves a block is returned."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        slot = _STEPS if node.id == STEPS else _SLOTS.get(node.id)
        return node if slot is None else ast.Subscript(load(_STATE), ast.Constant(slot), node.ctx)

    def visit_Break(self, node: ast.Break) -> ast.stmt:
        return ast.Return(ast.Constant(_BREAK))

    def visit_Continue(self, node: ast.Continue) -> ast.stmt:
        return ast.Return(ast.Constant(_CONTINUE))


def _function(line: str) -> ast.FunctionDef:
    """A function around the line; ``elif`` follows an ``if``."""
    lines = [line]
    if line.startswith(("while ", "if ", "elif ")):
        lines = ["if True:", " pass"] * line.startswith("elif ") + [line, " pass"]
    return ast.parse("def f():\n" + "\n".join(f" {text}" for text in lines)).body[0]


def _statement(function: ast.FunctionDef, line: str) -> ast.stmt:
    return function.body[0].orelse[0] if line.startswith("elif ") else function.body[0]


class _Words(NamedTuple):
    """The lines of a trace around those of the statements."""

    loop: str
    enter: str
    stop: str
    enter_if: str
    no_if: str


@cache
def _words(style: str, section: int, depth: int) -> _Words:
    if style == _PLAIN:
        return _Words("", "", "", "", "")
    function = _function("pass")
    instrumenter = Instrumenter(function, style_of(style, function))
    loop, entry = instrumenter.loop_header(section, depth), instrumenter.pass_header(section)
    texts = [instrumenter.outcome(words) for words in ("enter the loop", "do not enter", "enter if", "do not enter if")]
    enter, stop, enter_if, no_if = ("".join(pieces) for pieces in texts)
    return _Words("".join(loop), enter + "".join(entry), stop, enter_if, no_if)


# The tree of a source


def _tree(lines: list[str]) -> tuple[_Node, ...]:
    """The nodes of canonical lines, each indented by 4 spaces a level, the first level by one."""
    nodes, _ = _read(lines, 0, 4)
    return nodes


def _read(lines: list[str], at: int, indent: int) -> tuple[tuple[_Node, ...], int]:
    nodes: list[_Node] = []
    margin = " " * indent
    while at < len(lines):
        line = lines[at]
        if not line.startswith(margin):
            break
        text = line[indent:]
        if text[-1] != ":":
            nodes.append(_Node(text))
            at += 1
            continue
        body, at = _read(lines, at + 1, indent + 4)
        nodes.append(_Node(text, body))
    return _with_else(nodes), at


def _with_else(nodes: list[_Node]) -> tuple[_Node, ...]:
    """``elif`` and ``else`` put below the ``if`` before them, from the last one on."""
    found: list[_Node] = []
    rest: tuple[_Node, ...] = ()
    for node in reversed(nodes):
        if node.text == "else:":
            rest = node.body
        elif node.text.startswith("elif "):
            rest = (node._replace(otherwise=rest),)
        else:
            found.append(node._replace(otherwise=rest) if rest else node)
            rest = ()
    return tuple(reversed(found))


def _leaves_early(nodes: tuple[_Node, ...]) -> bool:
    return any(
        node.text == "break" or node.text.startswith("return ") or _leaves_early(node.body + node.otherwise)
        for node in nodes
    )
