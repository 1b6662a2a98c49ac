"""Which variables may share a list or dict, so that a change through one of them is a change of the other.

A points-to analysis (Andersen's), blind to the order of statements: each display, slice, copy or sum is one object,
each argument is one, and all that lies within an argument is one more. It may see more sharing than there is, never
less.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property

from megatron_rfft.rules.kinds import BOOL, NUMBER, STRING, Kinds
from megatron_rfft.rules.subset import (
    assignment_targets,
    base_name,
    in_order,
    is_literal_assignment,
    is_mutation,
    target_names,
)

Objects = frozenset[int]
_NONE: Objects = frozenset()
JOINING = (ast.Add, ast.Mult, ast.BitOr)  # operators that make lists or dicts of others


class Sharing:
    """The objects that the variables of ``function`` may hold."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self._function = function
        self._held: dict[str, set[int]] = {}
        self._items: dict[int, set[int]] = {}
        self._grown = True
        for argument in function.args.args:
            whole, inside = id(argument), -id(argument)
            self._held[argument.arg] = {whole}
            self._items[whole] = self._items[inside] = {inside}
        self._statements = [node for node in in_order(function) if isinstance(node, ast.stmt) and node is not function]
        while self._grown:
            self._grown = False
            for statement in self._statements:
                self._run(statement)

    def objects(self, node: ast.expr) -> Objects:
        """The lists and dicts that the value of ``node`` may be."""
        match node:
            case ast.Name(id=name):
                return frozenset(self._held.get(name, ()))
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return self._made(node, parts)
            case ast.Dict(keys=keys, values=values):
                return self._made(node, [*keys, *values])
            case ast.BoolOp(values=values):
                return self._any(values)
            case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, JOINING):
                return self._copied(node, self.items(left) | self.items(right))
            case ast.Subscript(value=value, slice=ast.Slice()) | ast.Call(func=ast.Attribute(value=value, attr="copy")):
                return self._copied(node, self.items(value))
            case ast.Subscript(value=value):
                return self.items(value)
            case ast.Call(func=ast.Attribute(value=value, attr="pop" | "get"), args=arguments):
                return self.items(value) | self._any(arguments[1:])
            case ast.Call(func=ast.Name(id="max" | "min"), args=arguments):
                return self._any(arguments)
        return _NONE

    def surely(self, node: ast.expr) -> Objects:
        """Those of ``objects`` that are one list or dict each, without what stands for all that lies in an argument."""
        return frozenset(whole for whole in self.objects(node) if whole > 0)

    def items(self, node: ast.expr) -> Objects:
        """What those of ``node`` may contain."""
        return frozenset(item for whole in self.objects(node) for item in self._items.get(whole, ()))

    def reached(self, nodes: Iterable[ast.expr]) -> Objects:
        """All that ``nodes`` may show: their objects, what these contain, and so on."""
        found: set[int] = set()
        pending = [whole for node in nodes for whole in self.objects(node)]
        while pending:
            whole = pending.pop()
            if whole not in found:
                found.add(whole)
                pending += self._items.get(whole, ())
        return frozenset(found)

    def changed(self, statement: ast.stmt) -> dict[int, str]:
        """The objects that the statement itself changes, and the variable through which it does."""
        places = [target.value for target in assignment_targets(statement) if isinstance(target, ast.Subscript)]
        if isinstance(statement, ast.AugAssign) and self._may_extend(statement):
            places.append(statement.target)
        places += receivers(statement)
        return {whole: base_name(place) for place in places for whole in self.objects(place)}

    def _may_extend(self, statement: ast.AugAssign) -> bool:
        """Whether ``x += y`` may change a list or dict, and not make a number or string."""
        if not isinstance(statement.op, JOINING) or not self.objects(statement.target):
            return False
        sides = [statement.target, *([statement.value] if isinstance(statement.op, ast.Add) else [])]
        return not any(self._kinds.of(side) in (NUMBER, STRING, BOOL) for side in sides)

    @cached_property
    def _kinds(self) -> Kinds:
        return Kinds(self._function)

    def _run(self, statement: ast.stmt) -> None:
        """What the statement lets variables and objects hold."""
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(
                values
            ):
                for target, value in zip(targets, values, strict=True):
                    self._bind(target, self.objects(value))
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
                for target in targets:
                    self._bind(target, self.items(value))
            case ast.Assign(targets=[target], value=value):
                self._bind(target, self.objects(value))
            case ast.AugAssign(target=target, op=operator, value=value) if isinstance(operator, JOINING):
                self._put(self.objects(target), self.items(value))
                self._bind(target, self._copied(statement, self.items(target) | self.items(value)))
        for expression in own_expressions(statement):
            for node in in_order(expression):
                match node:
                    case ast.Call(func=ast.Attribute(value=value, attr="append" | "insert"), args=[*_, item]):
                        self._put(self.objects(value), self.objects(item))
                    case ast.Call(func=ast.Attribute(value=value, attr="extend"), args=[items]):
                        self._put(self.objects(value), self.items(items))

    def _bind(self, target: ast.expr, value: Objects) -> None:
        if isinstance(target, ast.Name):
            self._grow(self._held.setdefault(target.id, set()), value)
        else:
            self._put(self.objects(target.value), value)

    def _put(self, places: Objects, value: Objects) -> None:
        for place in places:
            self._grow(self._items.setdefault(place, set()), value)

    def _grow(self, found: set[int], more: Objects) -> None:
        if not more <= found:
            found |= more
            self._grown = True

    def _made(self, node: ast.expr, parts: list[ast.expr]) -> Objects:
        return self._copied(node, self._any(parts))

    def _copied(self, node: ast.AST, items: Objects) -> Objects:
        self._put(frozenset([id(node)]), items)
        return frozenset([id(node)])

    def _any(self, nodes: Iterable[ast.expr]) -> Objects:
        return frozenset(whole for node in nodes for whole in self.objects(node))


def own_expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """What the statement itself evaluates, in no order: not what a nested block does."""
    yield from assignment_targets(statement)
    for part in (getattr(statement, "value", None), getattr(statement, "test", None)):
        if part is not None:
            yield part


def receivers(statement: ast.stmt) -> list[ast.expr]:
    """What the changing calls of the statement change."""
    nodes = (node for part in own_expressions(statement) for node in in_order(part))
    return [node.func.value for node in nodes if is_mutation(node)]


def lookup_tables(function: ast.FunctionDef) -> set[str]:
    """Variables that never change and are only looked things up in: ``table[key]``, ``x in table``, ``table.get(x)``.

    A trace shows them once, where they are set, and not again at every reading.
    """
    tables = _looked_up_only(function)
    if not tables:
        return tables
    sharing = Sharing(function)
    statements = [node for node in in_order(function) if isinstance(node, ast.stmt) and node is not function]
    changed = {whole for statement in statements for whole in sharing.changed(statement)}
    return {name for name in tables if not changed & sharing.reached([ast.Name(name, ast.Load())])}


def _looked_up_only(function: ast.FunctionDef) -> set[str]:
    nodes = list(in_order(function))
    written = [name for node in nodes for name in target_names(node)]
    mutated = {base_name(node.func.value) for node in nodes if is_mutation(node)}
    literals = {
        s.targets[0].id for s in function.body if is_literal_assignment(s) and written.count(s.targets[0].id) == 1
    }
    constant = literals | {argument.arg for argument in function.args.args if argument.arg not in written}
    return constant - mutated - names_used(nodes)


def names_used(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that the nodes read otherwise than by looking something up in them."""
    looked_up, read = set(), []
    for node in nodes:
        if isinstance(node, ast.Subscript | ast.Attribute):
            looked_up.add(id(node.value))
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            looked_up.add(id(node.comparators[0]))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            read.append(node)
    return {node.id for node in read if id(node) not in looked_up}
