"""Proof-reading a trace: Python itself executes every recited line again, and every printed value is compared.

Where code is recited, that code is executed. Sentences and scratchpads don't recite it: there the rule is executed
again on the arguments (``retell``), and the trace must have the lines that this gives. The instrumentation, which this
checks, has no part in it. It executes what it reads: give it traces of rules, never a model's output.
"""

import ast
import copy
import re
from collections.abc import Iterable, Sequence
from itertools import islice, zip_longest
from typing import Any

from megatron_rfft.rules.instrument import ANSWER_PREFIX
from megatron_rfft.rules.retell import retell_sentences, retell_states
from megatron_rfft.rules.rule import Rule
from megatron_rfft.rules.styles import check_style
from megatron_rfft.rules.subset import (
    BUILTINS,
    RuleError,
    assignment_targets,
    is_literal_assignment,
    lookup_tables,
    mutated_names,
    parse_rule,
    target_names,
    unparse,
    variable_names,
)

_HEADER = re.compile(r"\d+\. (Initialize|Main loop|Inner loop|Return)|\d+\.1 One iteration|else:")
_OUTCOMES = {"enter the loop": True, "enter if": True, "do not enter": False, "do not enter if": False}
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_NOW = "now, "


def false_lines(rule: Rule, text: str, style: str = "full", arguments: Sequence[Any] | None = None) -> list[str]:
    """A line for each false, missing or misplaced line in a trace of ``rule``; an empty list if all of it is true.

    ``arguments`` are those that the trace is about. A scratchpad does not show them, so that there they must be given.
    """
    check_style(style)
    if arguments is not None and len(arguments) != len(rule.parameters):
        what = f"rule {rule.name} has {len(rule.parameters)} arguments, not {len(arguments)}"
        raise RuleError(f"{what}; give one for each of {', '.join(rule.parameters)}")
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
    if style == "sentences":
        return problems + _compare(lines, _told(lambda: retell_sentences(rule.source, shown, ANSWER_PREFIX)))
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
        self.before: dict[str, Any] = {}  # the state before the statement at hand
        self.partial: dict[str, Any] = {}  # and while its parts are evaluated one by one
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
                    self.expect(_HEADER.fullmatch(line), "this is no line of the rule and no header")
        except Exception as error:  # an earlier line is false, so that this one can't be executed
            self.expect(False, f"{type(error).__name__}: {error}; the trace can't be followed from here on")
            return self.problems
        self.require(ANSWER_PREFIX + self.answer)
        return self.problems

    def recited(self, line: str) -> None:
        self.before = copy.deepcopy(self.state)
        self.partial = copy.deepcopy(self.state)
        keyword = line.split()[0].rstrip(":")
        if keyword in ("while", "if", "elif"):
            self.test(line[len(keyword) : -1].strip(), shows_variables=not self.lean or keyword == "while")
            return
        statement = ast.parse(line).body[0]
        if isinstance(statement, ast.Return):
            if not self.lean:
                self.variables([statement.value])
                self.chains(statement.value)
            self.answer = repr(self.evaluate(unparse(statement.value), self.state))
        elif isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr):
            self.statement(statement)

    def test(self, source: str, shows_variables: bool) -> None:
        test = ast.parse(source, mode="eval").body
        if shows_variables:
            self.variables([test])
        value = self.evaluate(source, self.state)
        self.chains(test)
        line = self.next()
        self.expect(_OUTCOMES.get(line) is bool(value), f"the test gives {value!r}")

    def statement(self, statement: ast.Assign | ast.AugAssign | ast.Expr) -> None:
        targets = assignment_targets(statement)
        if not self.lean and not is_literal_assignment(statement):
            read = [statement.target] if isinstance(statement, ast.AugAssign) else []
            self.variables([*read, statement.value, *(t for t in targets if isinstance(t, ast.Subscript))])
        exec(compile(ast.Module([statement], []), "<trace>", "exec"), {"__builtins__": BUILTINS}, self.state)
        shown = self.chains(statement.value)
        if not self.lean and not is_literal_assignment(statement):
            changed = {*target_names(statement), *mutated_names(statement.value)}
            self.expect(changed <= shown, f"the new value of {', '.join(changed - shown)} is missing")

    def variables(self, expressions: list[ast.expr]) -> None:
        """The lines ``name = value`` that show what ``expressions`` are about to read."""
        for name in dict.fromkeys(name for expression in expressions for name in variable_names(expression)):
            if name not in self.tables:
                self.require(f"{name} = {self.state[name]!r}")

    def chains(self, whole: ast.expr) -> set[str]:
        """The lines that evaluate ``whole`` and show what has changed; returns the names that they show."""
        shown = set()
        while self.at < len(self.lines) - 1 and self.is_chain(self.lines[self.at]):
            line = self.next()
            members = split_chain(line.removeprefix(_NOW))
            if line.startswith(_NOW):
                target = members.pop(0)
                shown.add(re.match(r"\w+", target).group())
                actual = repr(self.evaluate(target, self.state))
                self.expect(actual == members[-1], f"{target} is {actual}")
            if len(members) > 1:
                scope = copy.deepcopy(self.before) if members[0] == unparse(whole) else self.partial
                for member in members[:-1]:
                    actual = repr(self.evaluate(member, scope))
                    self.expect(actual == members[-1], f"{member} is {actual}")
        return shown

    def is_chain(self, line: str) -> bool:
        return line.startswith(_NOW) or not (line in self.source or line in _OUTCOMES or _HEADER.fullmatch(line))

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
