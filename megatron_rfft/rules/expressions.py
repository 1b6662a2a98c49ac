"""The chain ``expression = with numbers = value``: what the traced function evaluates, and what it prints.

Each access (a name, an index, a slice, a method call) is evaluated once, left to right, into a temporary; the printed
stages and the value are made from these. First come the accesses' values (``int('7') + 1``), then those of the
builtins called (``7 + 1``), then the value itself.
"""

import ast
from dataclasses import dataclass, field
from itertools import count

from megatron_rfft.rules.subset import BUILTINS, is_literal

Piece = str | ast.expr  # of trace text: itself, or an expression whose repr is printed

# A private-use character can't stand in a rule: names don't contain it and ast.unparse escapes it in strings.
_MARK = "\ue000"


class Names:
    """Fresh temporaries; no rule's name starts with an underscore."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def fresh(self) -> str:
        return f"_t{next(self._numbers)}"


@dataclass
class Evaluation:
    """How to evaluate it: execute ``steps``, then ``value``. ``chain`` is the text that leads to the value."""

    chain: list[Piece]
    steps: list[ast.stmt]
    value: ast.expr


def evaluate(expression: ast.expr, names: Names, has_code: bool = True) -> Evaluation:
    """Plan the evaluation of ``expression``; the chain lacks only the value at its end.

    Without ``has_code`` the chain begins with the numbers.
    """
    plan = _Plan(names)
    value, accessed, called = plan.visit(expression)
    if is_literal(expression):
        return Evaluation([], plan.steps, value)
    stages = [expression] if has_code else []
    stages += (stage for stage in (accessed, called) if not _is_value(stage))
    chain: list[Piece] = []
    for stage in dict.fromkeys(map(ast.unparse, stages)):
        chain += [*plan.pieces(stage), " = "]
    return Evaluation(chain, plan.steps, value)


def _is_value(stage: ast.expr) -> bool:
    """Whether nothing is left to compute, so that the stage would only print the value, which comes last anyway."""
    left = (ast.Name, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.expr_context)
    return all(isinstance(node, left) for node in ast.walk(stage))


def is_plain(expression: ast.expr) -> bool:
    """Whether the expression only tests or compares names and constants, so that showing the names shows it all."""
    inner = (ast.BoolOp, ast.Compare, ast.UnaryOp, ast.Name, ast.Constant, ast.boolop, ast.cmpop, ast.unaryop)
    return all(isinstance(node, (*inner, ast.expr_context)) for node in ast.walk(expression))


def is_evident(expression: ast.expr) -> bool:
    """Whether the expression is a name or a literal, so that its value needs no line of its own."""
    return isinstance(expression, ast.Name) or is_literal(expression)


@dataclass
class _Plan:
    names: Names
    steps: list[ast.stmt] = field(default_factory=list)
    printed: list[ast.expr] = field(default_factory=list)

    def pieces(self, stage: str) -> list[Piece]:
        """The text of a stage with the printed expressions in place of their marks."""
        parts = stage.split(_MARK)
        return [self.printed[int(part)] if i % 2 else part for i, part in enumerate(parts)]

    def visit(self, node: ast.expr) -> tuple[ast.expr, ast.expr, ast.expr]:
        """The node as code over the temporaries, as text after the accesses, and as text after the calls."""
        match node:
            case ast.Constant():
                return node, node, node
            case ast.Name():
                mark = self.mark(node)
                return node, mark, mark
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS and name != "len":
                codes, accessed, _ = zip(*map(self.visit, node.args), strict=True)
                value = self.keep(ast.Call(node.func, list(codes), []))
                return value, ast.Call(node.func, list(accessed), []), self.mark(value)
            case ast.BinOp():
                sides = zip(self.visit(node.left), self.visit(node.right), strict=True)
                return tuple(ast.BinOp(left, node.op, right) for left, right in sides)
            case ast.UnaryOp():
                return tuple(ast.UnaryOp(node.op, operand) for operand in self.visit(node.operand))
            case ast.Compare():
                return self.compare(node)
            case ast.List():
                return self.display(node.elts, lambda elements: ast.List(elements, ast.Load()))
            case ast.Tuple():
                return self.display(node.elts, lambda elements: ast.Tuple(elements, ast.Load()))
            case ast.Dict():
                pairs = [part for pair in zip(node.keys, node.values, strict=True) for part in pair]
                return self.display(pairs, lambda parts: ast.Dict(parts[::2], parts[1::2]))
        # An access; `and` and `or` within an expression are one, too: Python itself leaves out what it doesn't need.
        value = self.keep(node)
        mark = self.mark(value)
        return value, mark, mark

    def compare(self, node: ast.Compare) -> tuple[ast.expr, ast.expr, ast.expr]:
        left = self.visit(node.left)
        right = self.visit(node.comparators[0])
        if isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(node.comparators[0], ast.Name):
            right = (node.comparators[0],) * 3  # a container's name says as much as its items printed again
        return tuple(ast.Compare(a, node.ops, [b]) for a, b in zip(left, right, strict=True))

    def display(self, elements: list[ast.expr], build) -> tuple[ast.expr, ast.expr, ast.expr]:
        if not elements:
            return (build([]),) * 3
        return tuple(build(list(parts)) for parts in zip(*map(self.visit, elements), strict=True))

    def keep(self, value: ast.expr) -> ast.Name:
        name = self.names.fresh()
        self.steps.append(ast.Assign([ast.Name(name, ast.Store())], value))
        return ast.Name(name, ast.Load())

    def mark(self, value: ast.expr) -> ast.Name:
        self.printed.append(value)
        return ast.Name(f"{_MARK}{len(self.printed) - 1}{_MARK}", ast.Load())
