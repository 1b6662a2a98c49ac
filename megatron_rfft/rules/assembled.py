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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from megatron_rfft.rules.code import WRITE, Code, load
from megatron_rfft.rules.instrument import STEPS, Instrumenter, compile_function
from megatron_rfft.rules.placeholders import ACCENTED
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
_STATE = "_state"
_STEPS = 0  # the place in a state of the number of passes: that of the function's own name, which is no variable
_SLOTS = {name: place for place, name in enumerate(ACCENTED)}
_NUM_SLOTS = 24  # names in a rule, at most
_BREAK, _CONTINUE = "break", "continue"

State = list[Any]
Step = Callable[[State, Callable[[str], Any]], Any]
"""Executes a statement; returns None, _BREAK, _CONTINUE or (answer, passes)."""


_Node = list[Any]
"""A line, the nodes of the lines below it and, of an ``if``, those of its ``else``."""


class AssembledRule:
    """What ``Rule`` is, for a canonical source whose names are stand-ins; several times faster to trace once."""

    def __init__(self, source: str, step_limit: int = STEP_LIMIT) -> None:
        self.source = source
        self.step_limit = step_limit
        header, *lines = source.split("\n")
        self.name = header[4]
        self.parameters = tuple(header[6:-2].split(", "))
        self.lines = tuple(line.lstrip(" ") for line in lines)
        self._slots = [_SLOTS[name] for name in self.parameters]
        self._body = _tree(lines)

    def trace(self, *arguments: Any, style: str = "full") -> Trace:
        """As ``Rule.trace``."""
        if style not in STYLES_BY_LINE:
            return self._rule.trace(*arguments, style=style)
        pieces = [_words(style, 0, 0).start]
        pieces += [f"{name} = {value!r}\n" for name, value in zip(self.parameters, arguments, strict=True)]
        answer, steps = self._execute(_Tracing(self, style).block(self._body, 0), arguments, pieces.append)
        return Trace("".join(pieces), answer, steps)

    def run(self, *arguments: Any) -> Any:
        """As ``Rule.run``."""
        return self._execute(_Running(self).block(self._body), arguments, None)[0]

    def state_of(self, arguments: tuple[str | int, ...]) -> State:
        """What ``try_out`` starts from for these arguments, the same for all rules with the same parameters."""
        state: State = [None] * _NUM_SLOTS
        for slot, argument in zip(self._slots, arguments, strict=True):
            state[slot] = argument
        state[_STEPS] = 0
        return state

    def try_out(self, starts: Iterable[State]) -> tuple[list[Any], bool]:
        """The answers from several states, and whether every test came out both ways.

        A loop's test has to hold once at least; that it fails at last goes without saying.
        """
        running = _Running(self)
        steps = running.block(self._body)
        answers = []
        for start in starts:
            state = start.copy()
            for step in steps:
                if (left := step(state, None)) is not None:
                    answers.append(left[0])
                    break
        return answers, all(yes and no for yes, no in running.outcomes)

    @property
    def commented(self) -> str:
        """As ``Rule.commented``."""
        return self._rule.commented

    @property
    def sentences(self) -> str:
        """As ``Rule.sentences``."""
        return self._rule.sentences

    @cached_property
    def _rule(self) -> Rule:
        return Rule(self.source, self.step_limit)

    @cached_property
    def tables(self) -> frozenset[str]:
        """As ``sharing.lookup_tables``, from what is known of the lines."""
        facts = [facts_of(line) for line in self.lines]
        written = [name for line in facts for name in line.written]
        constant = {line.literal for line in facts if line.literal and written.count(line.literal) == 1}
        constant.update(name for name in self.parameters if name not in written)
        return frozenset(constant.difference(*(line.read for line in facts)))

    def may_be_table(self, name: str) -> bool:
        """Whether it is worth to look through the lines: no, for the variables that loops mostly test."""
        return f"    {name} = {name}" not in self.source and f"    {name} +=" not in self.source

    @property
    def return_section(self) -> int:
        return 2 + sum(line.startswith("while ") for line in self.lines)

    def _execute(self, steps: list[Step], arguments: tuple, write: Callable[[str], Any] | None) -> tuple[Any, int]:
        state = self.state_of([copy_value(argument) for argument in arguments])
        try:
            for step in steps:
                if (left := step(state, write)) is not None:
                    return left
        except StepLimitError:
            raise
        except Exception as error:
            raise RuleError(f"rule {self.source!r}: {type(error).__name__}: {error} on {arguments!r:.200}") from error
        raise AssertionError("a rule's last line is a return")


class _Running:
    """Makes the steps of a rule's lines without a trace, and keeps how their tests come out."""

    def __init__(self, rule: AssembledRule) -> None:
        self.limit = rule.step_limit
        self.outcomes: list[list[bool]] = []  # of each test: whether it held, and whether it failed

    def block(self, nodes: list[_Node]) -> list[Step]:
        steps = []
        for text, body, otherwise in nodes:
            if not body:
                steps.append(_plain_line(text))
            else:
                steps.append(self.loop(text, body) if text[0] == "w" else self.branch(text, body, otherwise))
        return steps

    def loop(self, text: str, nodes: list[_Node]) -> Step:
        test, body, limit = _plain_line(text), self.block(nodes), self.limit
        outcomes = [False, True]
        self.outcomes.append(outcomes)

        def loop(state: State, write: None) -> Any:
            while test(state, write):
                outcomes[0] = True
                state[_STEPS] += 1
                if state[_STEPS] > limit:
                    raise _too_many(limit)
                for step in body:
                    left = step(state, write)
                    if left is not None:
                        if left == _CONTINUE:
                            break
                        return None if left == _BREAK else left
            return None

        return loop

    def branch(self, text: str, nodes: list[_Node], others: list[_Node]) -> Step:
        test, body, otherwise = _plain_line(text), self.block(nodes), self.block(others)
        outcomes = [False, False]
        self.outcomes.append(outcomes)

        def branch(state: State, write: None) -> Any:
            if test(state, write):
                outcomes[0] = True
                steps = body
            else:
                outcomes[1] = True
                steps = otherwise
            for step in steps:
                left = step(state, write)
                if left is not None:
                    return left
            return None

        return branch


class _Tracing:
    """Makes the steps of a rule's lines in one style."""

    def __init__(self, rule: AssembledRule, style: str) -> None:
        self.rule = rule
        self.style = style
        self.sections = 1

    def block(self, nodes: list[_Node], depth: int, header: tuple[str, ...] = ()) -> list[Step]:
        steps = []
        for text, body, otherwise in nodes:
            if not body:
                steps.append(self.statement(text, header))
            elif text.startswith("while "):
                steps.append(self.loop(text, body, depth))
            else:
                steps.append(self.branch(text, body, otherwise, depth, header))
        return steps

    def statement(self, text: str, header: tuple[str, ...]) -> Step:
        if text.startswith("return "):
            return compiled_line(text, self.style, (), self.tables_in(text), self.rule.return_section)
        return compiled_line(text, self.style, _of_line(text, header), self.tables_in(text), 0)

    def tables_in(self, text: str) -> tuple[str, ...]:
        """The tables among the names of a line that would else show them."""
        if self.style == "lean" and not text.startswith("while "):
            return ()
        if self.style == "lean" and not any(map(self.rule.may_be_table, facts_of(text).shown)):
            return ()
        return tuple(name for name in self.rule.tables if name in text)

    def loop(self, text: str, nodes: list[_Node], depth: int) -> Step:
        self.sections += 1
        words = _words(self.style, self.sections, depth)
        header, enter, stop, limit = words.loop, words.enter, words.stop, self.rule.step_limit
        test = compiled_line(text, self.style, (), self.tables_in(text), 0)
        shown = () if self.style != "lean" or _leaves_early(nodes) else facts_of(text).shown
        body = self.block(nodes, depth + 1, shown)

        def loop(state: State, write: Callable[[str], Any]) -> Any:
            write(header)
            while test(state, write):
                state[_STEPS] += 1
                if state[_STEPS] > limit:
                    raise _too_many(limit)
                write(enter)
                for step in body:
                    left = step(state, write)
                    if left is not None:
                        if left == _CONTINUE:
                            break
                        return None if left == _BREAK else left
            write(stop)
            return None

        return loop

    def branch(self, text: str, nodes: list[_Node], others: list[_Node], depth: int, header: tuple[str, ...]) -> Step:
        words = _words(self.style, 0, 0)
        test = compiled_line(text, self.style, (), self.tables_in(text), 0)
        body, otherwise = self.block(nodes, depth, header), self.block(others, depth, header)
        is_chain = others and others[0][1] and others[0][0].startswith("elif ")
        enter = words.enter_if
        stop = words.no_if + "else:\n" if others and not is_chain else words.no_if

        def branch(state: State, write: Callable[[str], Any]) -> Any:
            if test(state, write):
                write(enter)
                steps = body
            else:
                write(stop)
                steps = otherwise
            for step in steps:
                left = step(state, write)
                if left is not None:
                    return left
            return None

        return branch


def _too_many(limit: int) -> StepLimitError:
    return StepLimitError(f"a random rule made more than {limit} passes through loops; raise step_limit")


# What is known of a line, whatever the rule


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


@cache
def facts_of(line: str) -> Facts:
    """The facts of a line without its indentation."""
    if line == "else:":
        return Facts((), (), frozenset(), None, ())
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
    mutated = [base_name(node.func.value) for node in nodes if is_mutation(node)]
    written = tuple(target_names(statement))
    literal = statement.targets[0].id if is_literal_assignment(statement) else None
    shown = tuple(variable_names(statement.test)) if isinstance(statement, ast.While) else ()
    return Facts(written, (*written, *mutated), frozenset([*read, *mutated]), literal, shown)


@cache
def _of_line(line: str, header: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a loop's test that the line changes."""
    changed = facts_of(line).changed if header else ()
    return tuple(name for name in header if name in changed)


@cache
def compiled_line(line: str, style: str, header: tuple[str, ...], tables: tuple[str, ...], section: int) -> Step:
    """The function of a statement, or of the test of a loop or branch; ``section`` is that of a return."""
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
    return _over_state(code.close())


@cache
def _plain_line(line: str) -> Step:
    """The same without a trace."""
    statement = _statement(_function(line), line)
    match statement:
        case ast.While(test=test) | ast.If(test=test):
            statement = ast.Return(test)
        case ast.Return(value=value):
            statement = ast.Return(ast.Tuple([value, load(STEPS)], ast.Load()))
    return _over_state([statement])


def _over_state(statements: list[ast.stmt]) -> Step:
    """The function that executes the statements on a state."""
    body = [_OverState().visit(part) for part in statements]
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

    start: str
    loop: str
    enter: str
    stop: str
    enter_if: str
    no_if: str


@cache
def _words(style: str, section: int, depth: int) -> _Words:
    function = _function("pass")
    instrumenter = Instrumenter(function, style_of(style, function))
    title = "Inner loop" if depth else "Main loop"
    loop, entry = instrumenter.loop_header(section, title), instrumenter.pass_header(section)
    texts = [instrumenter.outcome(words) for words in ("enter the loop", "do not enter", "enter if", "do not enter if")]
    enter, stop, enter_if, no_if = ("".join(pieces) for pieces in texts)
    return _Words(instrumenter.style.start, "".join(loop), enter + "".join(entry), stop, enter_if, no_if)


# The tree of a source


def _tree(lines: list[str]) -> list[_Node]:
    """The nodes of canonical lines, each indented by 4 spaces a level, the first level by one.

    What stands behind ``elif`` and ``else`` is put below the ``if`` before.
    """
    top: list[_Node] = []
    blocks = [top]  # the open block of each level
    for line in lines:
        text = line.lstrip(" ")
        level = (len(line) - len(text)) // 4
        del blocks[level:]
        block = blocks[-1]
        if text == "else:" or text.startswith("elif "):
            above = block[-1]
            while above[2]:
                above = above[2][0]
            if text == "else:":
                blocks.append(above[2])
                continue
            block = above[2]
        node = [text, [], []]
        block.append(node)
        if text[-1] == ":":
            blocks.append(node[1])
    return top


def _leaves_early(nodes: list[_Node]) -> bool:
    return any(
        text == "break" or text.startswith("return ") or (body and _leaves_early(body + otherwise))
        for text, body, otherwise in nodes
    )
