"""The plain function of a rule within bounds: passes through its loops, and the size of what it builds.

Without bounds a rule whose loop never ends would hang the command that runs it, and ``while s: s += s`` would take all
memory in thirty passes.
"""

import ast
from typing import Any

SIZE_LIMIT = 100_000  # characters, items or digits of one value: more than any prompt holds
SHOWN_LIMIT = 20_000_000  # of all values that a run builds, which its trace would show
BOUNDS = "_bounds"  # the function's last argument

_BUILDING = ("append", "extend", "insert")
_CHECKED = {ast.Mult: "times", ast.LShift: "shifted"}


class StepLimitExceeded(Exception):
    """Raised inside a rule's function whose loops made more passes than allowed."""


class SizeLimitExceeded(Exception):
    """Raised inside a rule's function that builds a value which is too large for any prompt."""


class Bounds:
    """What one run may still use up."""

    def __init__(self, step_limit: int) -> None:
        self._passes_left = step_limit
        self._shown_left = SHOWN_LIMIT

    def count(self) -> None:
        """One more pass through a loop."""
        self._passes_left -= 1
        if self._passes_left < 0:
            raise StepLimitExceeded

    def built(self, value: Any) -> None:
        """A variable has taken this value, or has grown to it."""
        size = _size(value)
        self._shown_left -= size
        if size > SIZE_LIMIT or self._shown_left < 0:
            raise SizeLimitExceeded

    def times(self, left: Any, right: Any) -> Any:
        """``left * right``, if that is small enough to be made."""
        return left * self.factor(left, right)

    def factor(self, left: Any, right: Any) -> Any:
        """``right``, if ``left * right`` is small enough to be made."""
        for one, other in ((left, right), (right, left)):
            if isinstance(one, int) and isinstance(other, str | list | tuple) and one * len(other) > SIZE_LIMIT:
                raise SizeLimitExceeded
        return right

    def shifted(self, left: Any, right: Any) -> Any:
        """``left << right``, if that is small enough to be made."""
        return left << self.places(left, right)

    def places(self, left: Any, right: Any) -> Any:
        """``right``, if ``left << right`` is small enough to be made."""
        if isinstance(right, int) and right > 3 * SIZE_LIMIT:
            raise SizeLimitExceeded
        return right


def _size(value: Any, most: int = SIZE_LIMIT) -> int:
    """How many digits, characters or items a value has, those of its items included; more than ``most`` if too many."""
    if isinstance(value, int):
        return value.bit_length() // 3 + 1
    if isinstance(value, dict):
        return _size([*value, *value.values()], most)
    if not isinstance(value, str | list | tuple):
        return 1
    size = len(value)
    for item in () if isinstance(value, str) else value:
        if size > most:
            break
        if isinstance(item, str | list | tuple | dict):
            size += _size(item, most - size)
    return size


def bounded(function: ast.FunctionDef) -> ast.FunctionDef:
    """The same function, with a last argument for its ``Bounds``. ``function`` is used up."""
    function.args.args.append(ast.arg(BOUNDS))
    return _Bounding().visit(function)


class _Bounding(ast.NodeTransformer):
    """Counts at the top of each loop; looks at products before they are made and at other values afterwards."""

    def visit_While(self, loop: ast.While) -> ast.While:
        self.generic_visit(loop)
        loop.body.insert(0, _statement("count", [], loop))
        return loop

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        method = _CHECKED.get(type(node.op))
        return ast.copy_location(_call(method, [node.left, node.right]), node) if method else node

    def visit_Assign(self, statement: ast.Assign) -> list[ast.stmt]:
        builds = any(map(_builds, ast.walk(statement.value)))
        self.generic_visit(statement)
        target = statement.targets[0]
        places = target.elts if isinstance(target, ast.Tuple) else [target]
        return [
            statement,
            *(_built(place, statement) for place in places if builds or isinstance(place, ast.Subscript)),
        ]

    def visit_AugAssign(self, statement: ast.AugAssign) -> list[ast.stmt]:
        self.generic_visit(statement)
        if method := {ast.Mult: "factor", ast.LShift: "places"}.get(type(statement.op)):
            statement.value = _call(method, [_read(statement.target), statement.value])
        return [statement, _built(statement.target, statement)]

    def visit_Expr(self, statement: ast.Expr) -> list[ast.stmt]:
        self.generic_visit(statement)
        function = statement.value.func
        grows = isinstance(function, ast.Attribute) and function.attr in _BUILDING
        return [statement, *([_built(function.value, statement)] if grows else [])]


def _builds(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add | ast.Mult | ast.LShift | ast.Mod)  # `%` formats strings
    return isinstance(node, ast.List | ast.Tuple | ast.Dict)


def _built(place: ast.expr, origin: ast.stmt) -> ast.stmt:
    """The statement that looks at the variable which ``place`` belongs to."""
    while isinstance(place, ast.Subscript):
        place = place.value
    return _statement("built", [_read(place)], origin)


def _read(place: ast.expr) -> ast.expr:
    """What reads the name or item that is assigned to."""
    return ast.parse(ast.unparse(place), mode="eval").body


def _statement(method: str, arguments: list[ast.expr], origin: ast.stmt) -> ast.stmt:
    return ast.copy_location(ast.Expr(_call(method, arguments)), origin)


def _call(method: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(BOUNDS, ast.Load()), method, ast.Load()), arguments, [])
