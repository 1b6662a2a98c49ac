"""The order of evaluation: refuses a line in which something is read before a call on the same line changes it.

Python evaluates from left to right, so that ``return x in xs, xs.pop(0)`` looks into ``xs`` before it gets shorter. A
trace shows a line's values together; what has changed by then could only be shown wrong. No rule needs such a line:
the value gets a name on a line before. A call may follow another one: ``xs.pop() * 10 + xs.pop()`` is fine.
"""

import ast
from collections.abc import Iterable

from megatron_rfft.rules.sharing import Objects, Sharing, receivers
from megatron_rfft.rules.subset import assignment_targets, base_name, in_order, is_mutation, refusal, unparse

_MEND = "do one of the two on a line before"


def check_order(function: ast.FunctionDef) -> None:
    """Raise RuleError, with the line and the fix, for a value that its own line changes after it has been read."""
    checker = _OrderChecker(function)
    for node in in_order(function):
        if isinstance(node, ast.stmt) and node is not function:
            checker.check(node)


class _OrderChecker:
    def __init__(self, function: ast.FunctionDef) -> None:
        self.function = function
        self._sharing: Sharing | None = None  # made when a line needs it: few do

    @property
    def sharing(self) -> Sharing:
        self._sharing = self._sharing or Sharing(self.function)
        return self._sharing

    def check(self, statement: ast.stmt) -> None:
        targets = assignment_targets(statement)
        if len(targets) > 1:
            self.places(targets)
        for target in targets:
            if isinstance(target, ast.Subscript):
                self.within_itself(statement, target)
        if not receivers(statement):
            return
        match statement:
            case ast.AugAssign(target=target, value=value):
                self.operands([target.value if isinstance(target, ast.Subscript) else target, value])
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner), args=arguments)):
                if isinstance(owner, ast.Subscript) and arguments:
                    self.conflict(_names(owner), arguments)
                self.operands(arguments)
            case ast.While(test=test) | ast.If(test=test):
                self.whole(test)
            case _:
                self.whole(statement.value)
        for target in targets:
            if isinstance(target, ast.Subscript):
                self.conflict(_indices(target), [statement.value])

    def whole(self, expression: ast.expr) -> None:
        """The operands of an ``and`` or ``or`` are shown one by one, and none but the last is kept."""
        if isinstance(expression, ast.BoolOp):
            for operand in expression.values:
                self.whole(operand)
        else:
            self.operand(expression)

    def operand(self, node: ast.expr) -> list[ast.expr]:
        """Check the node; return what a trace shows of it later: names, and the values of what is evaluated at once."""
        match node:
            case ast.Constant():
                return []
            case ast.BinOp(left=left, right=right):
                return self.operands([left, right])
            case ast.UnaryOp(operand=operand):
                return self.operand(operand)
            case ast.Compare(left=left, comparators=[right]):
                return self.operands([left, right])
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return self.operands(elements)
            case ast.Dict(keys=keys, values=values):
                return self.operands([part for pair in zip(keys, values, strict=True) for part in pair])
            case ast.Call(func=ast.Name(id=name), args=arguments) if name != "len":
                return [*self.operands(arguments), node]
        return [node]

    def operands(self, nodes: Iterable[ast.expr]) -> list[ast.expr]:
        """The same for operands in their order: what one shows must not change in a later one."""
        shown: list[ast.expr] = []
        for node in nodes:
            if shown:
                self.conflict(shown, [node])
            shown += self.operand(node)
        return shown

    def conflict(self, shown: Iterable[ast.expr], later: Iterable[ast.expr]) -> None:
        """Refuse a value that a call in ``later`` changes."""
        calls = [node for part in later for node in in_order(part) if is_mutation(node)]
        for node in shown if calls else ():
            reached = self.sharing.reached([node])
            for call in calls:
                if reached & self.sharing.objects(call.func.value):
                    what = f"`{unparse(node)}` with `{unparse(call)}`, which changes it, later on the same line"
                    raise refusal(self.function, call, what, _MEND)

    def within_itself(self, statement: ast.Assign | ast.AugAssign, target: ast.Subscript) -> None:
        """Refuse ``xs[0] = xs``: what it shows as the new value is another one as soon as it is stored."""
        if self.sharing.surely(target.value) & self.sharing.reached([statement.value]):
            what = f"`{ast.unparse(statement)}`, which puts {base_name(target)} into itself,"
            raise refusal(self.function, statement, what, "store a copy")

    def places(self, targets: list[ast.expr]) -> None:
        """Refuse an index that an earlier place of the same assignment changes under another name."""
        stored: Objects = frozenset()
        for target in targets:
            if isinstance(target, ast.Subscript):
                indices = _indices(target)
                if stored and indices and stored & self.sharing.reached(indices):
                    what = f"an index of `{unparse(target)}` that another place of its line may change"
                    raise refusal(self.function, target, what, _MEND)
                stored |= self.sharing.objects(target.value)


def _names(node: ast.expr) -> list[ast.expr]:
    return [part for part in in_order(node) if isinstance(part, ast.Name)]


def _indices(target: ast.Subscript) -> list[ast.expr]:
    """What the indices of ``x[i][j]`` read."""
    found: list[ast.expr] = []
    while isinstance(target, ast.Subscript):
        found += _names(target.slice)
        target = target.value
    return found
