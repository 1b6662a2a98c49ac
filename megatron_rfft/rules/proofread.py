"""Proof-reading a trace: Python itself executes every recited line again, and every printed value is compared.

Where each line of code is recited as it is executed, that code is executed. For blocks, sentences and scratchpads the
rule is executed again on the arguments (``retell``), and the trace must have the lines that this gives. The
instrumentation, which this checks, has no part in it. It executes what it reads: give it traces of rules, never a
model's output.
"""

import ast
import copy
import re
from collections.abc import Iterable, Sequence
from itertools import islice, zip_longest
from typing import Any

from megatron_rfft.rules.expressions import is_evident, is_plain
from megatron_rfft.rules.instrument import ANSWER_PREFIX
from megatron_rfft.rules.retell import Teller, changed_inside, retell_states
from megatron_rfft.rules.retell_blocks import BlockTeller
from megatron_rfft.rules.rule import Rule
from megatron_rfft.rules.sharing import lookup_tables
from megatron_rfft.rules.styles import check_style
from megatron_rfft.rules.subset import (
    BUILTINS,
    RuleError,
    assignment_targets,
    is_counter_step,
    is_literal,
    is_literal_assignment,
    mutated_names,
    names_read,
    parse_rule,
    unparse,
    variable_names,
)

_HEADER = re.compile(r"\d+\. (Initialize|Main loop|Inner loop|Return)|\d+\.1 One iteration|else:")
_OUTCOMES = {"enter the loop": True, "enter if": True, "do not enter": False, "do not enter if": False}
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_NOW = "now, "
_TELLERS = {"sentences": Teller, "blocks": BlockTeller}


def false_lines(rule: Rule, text: str, style: str = "full", arguments: Sequence[Any] | None = None) -> list[str]:
    """A line for each false, missing or misplaced line in a trace of ``rule``; an empty list if all of it is true.

    ``arguments`` are those that the trace is about. A scratchpad does not show them, so that there they must be given.
    """
    check_style(style)
    if arguments is not None:
        rule.check_arguments(arguments)
    given = None if arguments is None else dict(zip(rule.parameters, arguments, strict=True))
    if style == "scratchpad" and given is None:
        raise RuleError("a scratchpad does not show its arguments; give them as false_lines(..., arguments=...)")
    lines = text.split("\n")
    if style == "scratchpad":
        return _compare(lines, _told(lambda: retell_states(rule.source, given, ANSWER_PREFIX, rule.step_limit)))
    shown = _arguments(rule.parameters, lines[1:])
    if isinstance(shown, str):
        return [shown]
    misstated = [name for name in given or {} if repr(given[name]) != repr(shown[name])]
    problems = [f"the argument {name} is {given[name]!r}" for name in misstated]
    if style in _TELLERS:
        return problems + _compare(lines, _told(lambda: _TELLERS[style].retell(rule.source, shown, ANSWER_PREFIX)))
    return problems + _Proofreader(rule, text, style).read()


def _arguments(parameters: Sequence[str], lines: list[str]) -> dict[str, Any] | str:
    """The arguments that a trace's first lines show, or what is wrong with these."""
    found = {}
    for number, name in enumerate(parameters):
        line = lines[number] if number < len(lines) else "the end"
        try:
            found[name] = ast.literal_eval(line.removeprefix(f"{name} = "))
        except (ValueError, SyntaxError):
            found.pop(name, None)
        if name not in found or not line.startswith(f"{name} = "):
            return f"line {number + 2}: {line!r}: the argument {name} comes here"
    return found


def _told(retell) -> Iterable[str]:
    """The lines that ``retell()`` gives; if the rule fails on these arguments, the failure is the last one."""
    try:
        yield from retell()
    except Exception as error:
        yield f"<{type(error).__name__}: {error}>"


def _compare(lines: list[str], told: Iterable[str]) -> list[str]:
    pairs = zip_longest(lines, islice(told, len(lines) + 1), fillvalue="the end")
    return [f"line {at}: {found!r} should be {line!r}" for at, (found, line) in enumerate(pairs, 1) if found != line]


def split_chain(line: str) -> list[str]:
    """The members of ``a = b = c``; an ``=`` within a string does not count."""
    masked = _STRING.sub(lambda match: "_" * len(match.group()), line)
    cuts = [match.span() for match in re.finditer(" = ", masked)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(line)]
    return [line[start:end] for start, end in zip(starts, ends, strict=True)]


class _Proofreader:
    def __init__(self, rule: Rule, text: str, style: str) -> None:
        self.parameters = rule.parameters
        self.lean = style == "lean"
        self.tables = lookup_tables(parse_rule(rule.source))
        self.source = {line.strip() for line in rule.source.split("\n")[1:]}
        self.lines = text.split("\n")
        self.at = 0
        self.problems: list[str] = []
        self.state: dict[str, Any] = {}
        self.partial: dict[str, Any] = {}  # as it is while the parts of the statement at hand are evaluated one by one
        self.answer = ""

    def read(self) -> list[str]:
        self.require("1. Initialize")
        for name in self.parameters:
            shown, value = split_chain(self.next())
            self.state[name] = ast.literal_eval(value)
            self.expect(shown == name, f"the argument {name} comes here")
        try:
            while self.at < len(self.lines) - 1:
                line = self.next()
                if line in self.source and line != "else:":
                    self.recited(line)
                else:
                    self.expect(_HEADER.fullmatch(line), "this is neither a line of the rule nor a header")
        except Exception as error:  # an earlier line is false, so that this one can't be executed
            self.expect(False, f"{type(error).__name__}: {error}; the trace can't be followed from here on")
            return self.problems
        self.require(ANSWER_PREFIX + self.answer)
        return self.problems

    def recited(self, line: str) -> None:
        self.partial = copy.deepcopy(self.state)
        keyword = line.split()[0].rstrip(":")
        if keyword in ("while", "if", "elif"):
            self.test(line[len(keyword) : -1].strip(), is_loop=keyword == "while")
            return
        statement = ast.parse(line).body[0]
        if isinstance(statement, ast.Return):
            self.variables(names_read(statement))
            self.shown(statement.value)
            self.answer = repr(self.evaluate(unparse(statement.value), self.state))
        elif isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr):
            self.statement(statement)

    def test(self, source: str, is_loop: bool) -> None:
        test = ast.parse(source, mode="eval").body
        if is_loop or not self.lean:
            self.variables(variable_names(test))
        value = self.evaluate(source, self.state)
        if not self.lean and not (is_loop and is_plain(test)):
            self.shown(test)
        self.changes(mutated_names(test))
        line = self.next()
        self.expect(_OUTCOMES.get(line) is bool(value), f"the test gives {value!r}")

    def statement(self, statement: ast.Assign | ast.AugAssign | ast.Expr) -> None:
        tells = not self.lean and not is_literal_assignment(statement)
        targets = assignment_targets(statement)
        if tells or is_counter_step(statement):
            self.variables(names_read(statement))
        places = [self.place(target) for target in targets]
        exec(compile(ast.Module([statement], []), "<trace>", "exec"), {"__builtins__": BUILTINS}, self.state)
        if not tells:
            while self.lines[self.at].startswith(_NOW):
                self.new_value(None)
            return
        match statement:
            case ast.Expr(value=call):
                for argument in call.args:
                    self.shown(argument)
            case ast.AugAssign(target=target, op=operator, value=value):
                source = ast.parse(ast.unparse(target), mode="eval").body
                self.shown(ast.BinOp(source, operator, value), places[0])
            case ast.Assign(value=ast.Tuple(elts=values)) if len(targets) == len(values) > 1:
                for place, value in zip(places, values, strict=True):
                    self.shown(value, place)
            case ast.Assign(targets=[ast.Tuple()]):
                self.changes(target.id for target in targets if isinstance(target, ast.Name))
            case ast.Assign(value=value):
                self.shown(value, places[0])
        self.changes(changed_inside(statement))

    def place(self, target: ast.expr) -> str:
        """How a trace names what is assigned to: with its indices evaluated."""
        if isinstance(target, ast.Name):
            return target.id
        return f"{self.place(target.value)}[{self.evaluate(ast.unparse(target.slice), self.state)!r}]"

    def variables(self, names: Iterable[str]) -> None:
        """The lines ``name = value`` that show what is about to be read."""
        for name in names:
            if name not in self.tables:
                self.require(f"{name} = {self.state[name]!r}")

    def changes(self, names: Iterable[str]) -> None:
        for name in names:
            self.require(f"{_NOW}{name} = {self.state[name]!r}")

    def shown(self, node: ast.expr, place: str | None = None) -> Any:
        """The lines that evaluate ``node``, for the new value of ``place`` if there is one; the value.

        It is evaluated once, on the state before the statement, which it may change for what is evaluated next.
        """
        code = unparse(node)
        if isinstance(node, ast.BoolOp):
            for operand in node.values:
                value = self.shown(operand)
                if bool(value) is isinstance(node.op, ast.Or):
                    break
        else:
            value = self.evaluate(code, self.partial)
            if place is None and is_evident(node):
                return value
        found = self.next()
        start = [code] if place is None else [f"{_NOW}{place}"] + [code] * (not is_literal(node))
        members = split_chain(found)
        self.expect(members[: len(start)] == start, f"this shows {' = '.join(start)}")
        self.expect(members[-1] == repr(value), f"{code} is {value!r}")
        for member in members[len(start) : -1]:
            self.expect(repr(self.evaluate(member, self.partial)) == members[-1], f"{member} is not {members[-1]}")
        if place is not None:
            self.new_value(found)
        return value

    def new_value(self, line: str | None) -> None:
        """Whether the line, or the next one, ends in the value that its place has in the end."""
        place, *_, value = split_chain((line or self.next()).removeprefix(_NOW))
        actual = self.evaluate(place, self.state)
        self.expect(repr(actual) == value, f"{place} is {actual!r}")

    def evaluate(self, source: str, scope: dict[str, Any]) -> Any:
        try:
            return eval(source, {"__builtins__": BUILTINS}, scope)
        except Exception as error:
            return f"<{type(error).__name__}: {error}>"

    def next(self) -> str:
        self.at += 1
        return self.lines[self.at - 1]

    def require(self, line: str) -> None:
        found = self.next() if self.at < len(self.lines) else "the end"
        if found != line:
            self.problems.append(f"line {self.at}: {found!r} should be {line!r}")

    def expect(self, holds: Any, why: str) -> None:
        if not holds:
            self.problems.append(f"line {self.at}: {self.lines[self.at - 1]!r}: {why}")
