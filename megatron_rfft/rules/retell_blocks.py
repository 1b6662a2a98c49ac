"""A rule executed once more, apart from the instrumentation, to tell which lines a trace in blocks must have."""

import ast
import copy
from collections.abc import Iterator
from typing import Any

from megatron_rfft.rules.blocks import Layout, Run, Segment, loop_title
from megatron_rfft.rules.expressions import is_evident, is_plain
from megatron_rfft.rules.retell import Teller, changed_inside
from megatron_rfft.rules.subset import (
    BUILTINS,
    assignment_targets,
    chained_if,
    in_order,
    is_literal,
    is_literal_assignment,
    recite,
    unparse,
)
from megatron_rfft.rules.walk import Lines


class BlockTeller(Teller):
    """Yields the lines in blocks."""

    start = "1. Initialize"

    def __init__(self, function: ast.FunctionDef, state: dict[str, Any]) -> None:
        super().__init__(function, state)
        self.layout = Layout(function)
        loops = [node for node in in_order(function) if isinstance(node, ast.While)]
        self.sections = {id(loop): number for number, loop in enumerate(loops, 2)}
        self.depth = 0

    def recited(self) -> dict:
        return {}

    def segments(self, body: list[ast.stmt]) -> list[Segment]:
        return self.layout.segments(body)

    def leave(self, statement: ast.Return) -> Lines:
        yield f"{len(self.sections) + 2}. Return"
        yield recite(statement)
        yield from self.variables([statement.value])
        return "return", (yield from self.show(statement.value))

    def run(self, run: Run, is_recited: bool) -> Lines:
        if not is_recited:
            yield from run.lines
        yield from (f"{name} = {self.state[name]!r}" for name in run.shown)
        for statement in run.statements:
            if isinstance(statement, ast.Break | ast.Continue):
                return (type(statement).__name__.lower(),)
            if is_literal_assignment(statement):
                value = self.state[statement.targets[0].id] = ast.literal_eval(statement.value)
                if is_recited or not run.shows_itself:
                    yield f"now, {statement.targets[0].id} = {value!r}"
            elif not isinstance(statement, ast.Pass):
                yield from self.results(statement)
        return None

    def loop(self, loop: ast.While) -> Lines:
        yield f"{self.sections[id(loop)]}. {loop_title(loop, self.depth)}"
        self.depth += 1
        leave = ("continue",)
        while leave is None or leave[0] == "continue":
            yield recite(loop)
            if not (yield from self.test(loop.test, not is_plain(loop.test))):
                yield "do not enter"
                break
            yield "enter the loop"
            yield f"{self.sections[id(loop)]}.1 One iteration"
            leave = yield from self.block(loop.body)
        self.depth -= 1
        return leave if leave and leave[0] == "return" else None

    def branch(self, branch: ast.If, word: str = "if") -> Lines:
        yield from self.layout.recited_with(branch, word)
        if (yield from self.test(branch.test, True)):
            yield "enter if"
            return (yield from self.block(branch.body, is_recited=True))
        yield "do not enter if"
        if chained := chained_if(branch.orelse):
            return (yield from self.branch(chained, "elif"))
        if branch.orelse:
            yield from self.layout.recited_otherwise(branch)
        return (yield from self.block(branch.orelse, is_recited=True))

    def results(self, statement: ast.Assign | ast.AugAssign | ast.Expr) -> Lines:
        targets, value = assignment_targets(statement), statement.value
        match statement:
            case ast.Expr():
                values = []
                for argument in value.args:
                    values.append((yield from self.show(argument)))
                names = [f"_{i}" for i in range(len(values))]
                self.apply(f"{ast.unparse(value.func)}({', '.join(names)})", dict(zip(names, values, strict=True)))
            case ast.AugAssign(target=target, op=operator):
                place, store, scope = yield from self.place_of(target)
                if isinstance(target, ast.Subscript):
                    yield f"{unparse(target)} = {self.apply(store, scope)!r}"
                scope["_value"] = yield from self.part(value)
                sign = ast.unparse(ast.AugAssign(ast.Name("_x"), operator, ast.Name("_y")))[3:-3]
                self.execute(f"{store} {sign} _value", scope)
                yield f"now, {place} = {self.apply(store, scope)!r}"
            case ast.Assign(targets=[ast.Tuple()]) if not _is_parallel(targets, value):
                values = yield from self.show(value)
                self.execute(f"{ast.unparse(statement.targets[0])} = _value", {"_value": values})
                yield from self.changes([target.id for target in targets if isinstance(target, ast.Name)])
            case _:
                values = value.elts if isinstance(statement.targets[0], ast.Tuple) else [value]
                stores = []
                for target, element in zip(targets, values, strict=True):
                    place, store, scope = yield from self.place_of(target)
                    scope["_value"] = yield from self.show(element, f"now, {place} = ")
                    stores.append((store, scope))
                for store, scope in stores:
                    self.execute(f"{store} = _value", scope)
        yield from self.changes(changed_inside(statement))

    def place_of(self, target: ast.expr) -> Lines:
        """How ``now`` names the place, code that names it, and the indices that this code uses."""
        if isinstance(target, ast.Name):
            return target.id, target.id, {}
        index = yield from self.part(target.slice)
        told, code, scope = yield from self.place_of(target.value)
        name = f"_{len(scope)}"
        return f"{told}[{index!r}]", f"{code}[{name}]", {**scope, name: index}

    def execute(self, code: str, scope: dict[str, Any]) -> None:
        """Execute on the state; ``scope`` holds what else the code names."""
        exec(code, {"__builtins__": BUILTINS, **scope}, self.state)

    # Expressions: each part is evaluated by Python on the values of its own parts

    def show(self, node: ast.expr, prefix: str = "") -> Lines:
        value = yield from self.part(node, is_silent=True)
        if prefix or not is_evident(node):
            yield f"{prefix or unparse(node) + ' = '}{value!r}"
        return value

    def part(self, node: ast.expr, is_silent: bool = False) -> Lines:
        if isinstance(node, ast.Name):
            return self.state[node.id]
        if isinstance(node, ast.Constant) or is_literal(node):
            return ast.literal_eval(node)
        if isinstance(node, ast.BoolOp):
            for operand in node.values:
                value = yield from self.show(operand)
                if bool(value) is isinstance(node.op, ast.Or):
                    break
        else:
            value = yield from self.composed(node)
        if not (is_silent or isinstance(node, ast.List | ast.Tuple | ast.Dict)):
            yield f"{unparse(node)} = {value!r}"
        return value

    def composed(self, node: ast.expr) -> Lines:
        """Python evaluates the node over names that stand for its parts."""
        values: dict[str, Any] = {}
        node = copy.deepcopy(node)
        for owner, field, at in list(_places(node)):
            child = getattr(owner, field) if at is None else getattr(owner, field)[at]
            is_owner = field == "value" and isinstance(child, ast.Subscript)  # of an index or a method
            name = f"_{len(values)}"
            values[name] = yield from self.part(child, is_silent=is_owner)
            if at is None:
                setattr(owner, field, ast.Name(name))
            else:
                getattr(owner, field)[at] = ast.Name(name)
        return self.apply(ast.unparse(node), values)


def _is_parallel(targets: list[ast.expr], value: ast.expr) -> bool:
    """``a, b = c, d``"""
    return isinstance(value, ast.Tuple) and len(targets) == len(value.elts) > 1


def _places(node: ast.expr) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Where the parts of the node are, in the order in which Python evaluates them."""
    match node:
        case ast.BinOp():
            yield from ((node, "left", None), (node, "right", None))
        case ast.UnaryOp():
            yield node, "operand", None
        case ast.Compare():
            yield from ((node, "left", None), (node, "comparators", 0))
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            yield from ((node, "elts", at) for at in range(len(elements)))
        case ast.Dict(keys=keys):
            yield from ((node, field, at) for at in range(len(keys)) for field in ("keys", "values"))
        case ast.Subscript(slice=index):
            yield node, "value", None
            if isinstance(index, ast.Slice):
                yield from ((index, field, None) for field in ("lower", "upper", "step") if getattr(index, field))
            else:
                yield node, "slice", None
        case ast.Call(func=function, args=arguments):
            if isinstance(function, ast.Attribute):
                yield function, "value", None
            yield from ((node, "args", at) for at in range(len(arguments)))
