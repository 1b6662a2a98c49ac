"""A rule executed once more, apart from the instrumentation, to tell which lines a trace must have.

``Teller`` walks the syntax tree and evaluates it piece by piece, for a trace in sentences, as ``retell_blocks`` does
for one in blocks. ``retell_states`` lets Python run the plain rule with a probe at each loop test. All yield lines as
they go, so that a rule that does not end does no harm.
"""

import ast
import copy
from collections.abc import Iterator
from types import CodeType
from typing import Any

from megatron_rfft.rules.expressions import is_evident, is_plain
from megatron_rfft.rules.flow import shown_states
from megatron_rfft.rules.sentences import sentences
from megatron_rfft.rules.sharing import lookup_tables
from megatron_rfft.rules.subset import (
    BUILTINS,
    assignment_targets,
    base_name,
    chained_if,
    is_literal_assignment,
    mutated_names,
    parse_rule,
    variable_names,
)
from megatron_rfft.rules.walk import Lines, Walk

_VALUES = (ast.Name, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.expr_context)


def retell_states(source: str, arguments: dict[str, Any], answer_prefix: str, limit: int) -> list[str]:
    """The lines of a scratchpad: the states that the plain function has at its loop tests, and the answer."""
    function = parse_rule(source)
    places = shown_states(function)
    lines: list[str] = []
    passes = 0

    def probe(names: list[str], scope: dict[str, Any]) -> None:
        nonlocal passes
        passes += 1
        if passes > limit:
            raise RuntimeError(f"more than {limit} loop tests")
        if names:
            lines.append(", ".join(f"{name} = {scope[name]!r}" for name in names))

    for node in ast.walk(function):
        if id(node) in places:  # test -> (probe(names, locals()), test)[1]
            field = "test" if isinstance(node, ast.While) else "value"
            call = ast.parse(f"_probe({places[id(node)]!r}, _locals())", mode="eval").body
            pair = ast.Tuple([call, getattr(node, field)], ast.Load())
            setattr(node, field, ast.Subscript(pair, ast.Constant(1), ast.Load()))
    scope = {"__builtins__": BUILTINS, "_probe": probe, "_locals": locals}
    exec(compile(ast.fix_missing_locations(ast.Module([function], [])), "<rule>", "exec"), scope)
    answer = scope[function.name](**copy.deepcopy(arguments))
    return [*lines, f"{answer_prefix}{answer!r}"]


def changed_inside(statement: ast.Assign | ast.AugAssign | ast.Expr) -> list[str]:
    """Variables whose items the statement sets, and those that its methods change, in order."""
    set_within = [base_name(place) for place in assignment_targets(statement) if isinstance(place, ast.Subscript)]
    return list(dict.fromkeys([*set_within, *mutated_names(statement.value)]))


class Teller(Walk):
    """Executes statements on ``state`` and yields their lines, in sentences."""

    start = "Start"

    @classmethod
    def retell(cls, source: str, arguments: dict[str, Any], answer_prefix: str) -> Iterator[str]:
        """The lines of a whole trace."""
        teller = cls(parse_rule(source), copy.deepcopy(arguments))
        yield cls.start
        yield from (f"{name} = {value!r}" for name, value in arguments.items())
        answer = yield from teller.block(teller.function.body)
        yield f"{answer_prefix}{answer[1]!r}"

    def __init__(self, function: ast.FunctionDef, state: dict[str, Any]) -> None:
        self.function = function
        self.state = state
        self.tables = lookup_tables(function)
        self.lines = self.recited()
        self.shown: list[tuple[ast.Name, Any]] = []
        self.compiled: dict[int, tuple[ast.expr, CodeType]] = {}  # by the node's id, which the node itself keeps alive

    def recited(self) -> dict[tuple[int, bool], str]:
        """The line of each statement, and of each ``else``."""
        return {(id(line.statement), line.otherwise): line.text for line in sentences(self.function)}

    # Statements. Each returns what leaves the block: ("break",), ("continue",), ("return", value), or None.

    def leave(self, statement: ast.Return) -> Lines:
        yield self.lines[id(statement), False]
        yield from self.variables([statement.value])
        return "return", (yield from self.show(statement.value))

    def statement(self, statement: ast.stmt) -> Lines:
        yield self.lines[id(statement), False]
        if isinstance(statement, ast.Break | ast.Continue):
            return (type(statement).__name__.lower(),)
        if not isinstance(statement, ast.Pass):
            yield from self.assignment(statement)
        return None

    def loop(self, loop: ast.While) -> Lines:
        while True:
            yield self.lines[id(loop), False]
            if not (yield from self.test(loop.test, not is_plain(loop.test))):
                yield "do not enter"
                return None
            yield "enter the loop"
            leave = yield from self.block(loop.body)
            if leave and leave[0] != "continue":
                return leave if leave[0] == "return" else None

    def branch(self, branch: ast.If) -> Lines:
        yield self.lines[id(branch), False]
        if (yield from self.test(branch.test, True)):
            yield "enter if"
            return (yield from self.block(branch.body))
        yield "do not enter if"
        if branch.orelse and not chained_if(branch.orelse):
            yield self.lines[id(branch), True]
        return (yield from self.block(branch.orelse))

    def test(self, test: ast.expr, is_shown: bool) -> Lines:
        yield from self.variables([test])
        value = (yield from self.show(test)) if is_shown else self.value(test)
        yield from self.changes(mutated_names(test))
        return value

    def assignment(self, statement: ast.Assign | ast.AugAssign | ast.Expr) -> Lines:
        targets, value = assignment_targets(statement), statement.value
        if is_literal_assignment(statement):
            self.store(targets[0], self.value(value))
            return
        inside = [target for target in targets if isinstance(target, ast.Subscript)]
        read = [statement.target] if isinstance(statement, ast.AugAssign) else []
        yield from self.variables([*read, value, *inside])
        if isinstance(statement, ast.Expr):
            values = []
            for argument in value.args:
                values.append((yield from self.show(argument)))
            names = [f"_{i}" for i in range(len(values))]
            self.apply(f"{ast.unparse(value.func)}({', '.join(names)})", dict(zip(names, values, strict=True)))
        elif isinstance(statement, ast.AugAssign):
            yield from self.augment(statement)
        elif not isinstance(statement.targets[0], ast.Tuple):
            self.store(targets[0], (yield from self.show(value, f"now, {self.place(targets[0])} = ")))
        elif isinstance(value, ast.Tuple) and len(value.elts) == len(targets) > 1:
            values = []
            for target, element in zip(targets, value.elts, strict=True):
                values.append((yield from self.show(element, f"now, {self.place(target)} = ")))
            for target, result in zip(targets, values, strict=True):
                self.store(target, result)
        else:
            exec(ast.unparse(statement), {"__builtins__": BUILTINS}, self.state)
            yield from self.changes([target.id for target in targets if isinstance(target, ast.Name)])
        yield from self.changes(changed_inside(statement))

    def augment(self, statement: ast.AugAssign) -> Lines:
        source = ast.parse(ast.unparse(statement.target), mode="eval").body
        left, right = self.visit(source), self.visit(statement.value)
        stages = self.stages(ast.BinOp(left[i], statement.op, right[i]) for i in (1, 2))
        sign = ast.unparse(ast.AugAssign(ast.Name("_x"), statement.op, ast.Name("_y")))[3:-3]
        place = self.place(statement.target)
        exec(f"{ast.unparse(statement.target)} {sign} _y", {"__builtins__": BUILTINS, "_y": right[0]}, self.state)
        yield f"now, {place} = " + " = ".join([*stages, repr(self.value(source))])

    def place(self, target: ast.expr) -> str:
        if isinstance(target, ast.Name):
            return target.id
        return f"{self.place(target.value)}[{self.value(target.slice)!r}]"

    def store(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.state[target.id] = value
        else:
            owner = ast.parse(ast.unparse(target.value), mode="eval").body
            self.value(owner)[self.value(target.slice)] = value

    # Lines of values

    def variables(self, expressions: list[ast.expr]) -> Lines:
        for name in dict.fromkeys(name for expression in expressions for name in variable_names(expression)):
            if name not in self.tables:
                yield f"{name} = {self.state[name]!r}"

    def changes(self, names) -> Lines:
        yield from (f"now, {name} = {self.state[name]!r}" for name in names)

    def show(self, node: ast.expr, prefix: str = "") -> Lines:
        if isinstance(node, ast.BoolOp):
            for operand in node.values:
                value = yield from self.show(operand)
                if bool(value) is isinstance(node.op, ast.Or):
                    break
            yield f"{prefix or 'together, '}{value!r}"
            return value
        value, *stages = self.visit(node)
        if prefix or not is_evident(node):
            yield (prefix or "that is, ") + " = ".join([*self.stages(stages), repr(value)])
        return value

    def stages(self, stages) -> list[str]:
        """The texts that lead to a value, now that it is known what the variables hold in the end."""
        for name, value in self.shown:
            name.id = repr(value)
        self.shown = []
        open_stages = (stage for stage in stages if not all(isinstance(node, _VALUES) for node in ast.walk(stage)))
        return list(dict.fromkeys(map(ast.unparse, open_stages)))

    # Values

    def value(self, node: ast.expr) -> Any:
        return self.evaluate(node, lambda: node, {})

    def evaluate(self, node: ast.expr, build, more: dict[str, Any]) -> Any:
        """The value of ``build()``, which depends on ``node`` alone and is compiled once."""
        if id(node) not in self.compiled:
            self.compiled[id(node)] = node, compile(ast.unparse(build()), "<rule>", "eval")
        return self.apply(self.compiled[id(node)][1], more)

    def apply(self, source: str | CodeType, more: dict[str, Any]) -> Any:
        return eval(source, {"__builtins__": BUILTINS, **more}, self.state)

    def known(self, value: Any) -> tuple[Any, ast.Name, ast.Name]:
        name = ast.Name("")  # ast.unparse writes whatever a name consists of: here, the value's repr
        self.shown.append((name, value))
        return value, name, name

    def visit(self, node: ast.expr) -> tuple[Any, ast.expr, ast.expr]:
        """The value, and the node with values in place of the accesses, and of the builtins called, too."""
        match node:
            case ast.Call(func=ast.Name(id=name) as function, args=arguments) if name in BUILTINS and name != "len":
                values, accessed, _ = zip(*map(self.visit, arguments), strict=True)
                value, result, _ = self.known(BUILTINS[name](*values))
                return value, ast.Call(function, list(accessed), []), result
            case ast.BinOp(left=left, op=operator, right=right):
                return self.combine(node, [left, right], lambda parts: ast.BinOp(parts[0], operator, parts[1]))
            case ast.UnaryOp(op=operator, operand=operand):
                return self.combine(node, [operand], lambda parts: ast.UnaryOp(operator, parts[0]))
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()] as ops, comparators=[ast.Name() as right]):
                return self.combine(node, [left], lambda parts: ast.Compare(parts[0], ops, [right]))
            case ast.Compare(left=left, ops=ops, comparators=[right]):
                return self.combine(node, [left, right], lambda parts: ast.Compare(parts[0], ops, [parts[1]]))
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return self.combine(node, elements, lambda parts: type(node)(list(parts), ast.Load()))
            case ast.Dict(keys=keys, values=values):
                pairs = [part for pair in zip(keys, values, strict=True) for part in pair]
                return self.combine(node, pairs, lambda parts: ast.Dict(list(parts[::2]), list(parts[1::2])))
            case ast.Constant(value=value):
                return value, node, node
        return self.known(self.value(node))

    def combine(self, node: ast.expr, nodes: list[ast.expr], build) -> tuple[Any, ast.expr, ast.expr]:
        visited = [self.visit(node) for node in nodes]
        names = {f"_v{i}": value for i, (value, _, _) in enumerate(visited)}
        value = self.evaluate(node, lambda: build([ast.Name(name, ast.Load()) for name in names]), names)
        return value, build([part for _, part, _ in visited]), build([part for _, _, part in visited])
