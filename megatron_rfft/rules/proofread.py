"""Proof-reading a trace: Python itself executes every recited line again, and every printed value is compared.

The instrumentation, which this checks, has no part in it. It executes what it reads: give it traces of rules, never a
model's output.
"""

import ast
import copy
import re
from typing import Any

from megatron_rfft.rules.instrument import ANSWER_PREFIX
from megatron_rfft.rules.rule import Rule
from megatron_rfft.rules.subset import (
    BUILTINS,
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


def false_lines(rule: Rule, text: str, style: str = "full") -> list[str]:
    """A line for each false, missing or misplaced line in a trace of ``rule``; an empty list if all of it is true."""
    return _Proofreader(rule, text, style).read()


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
        while self.at < len(self.lines) - 1:
            line = self.next()
            if line in self.source and line != "else:":
                self.recited(line)
            else:
                self.expect(_HEADER.fullmatch(line), "this is no line of the rule and no header")
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
