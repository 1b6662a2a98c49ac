"""The statements of a traced function while it is being built, and what compiles it."""

import ast
from collections.abc import Callable, Iterable
from typing import Any

from megatron_rfft.rules.bounded import StepLimitExceeded
from megatron_rfft.rules.expressions import Piece
from megatron_rfft.rules.subset import BUILTINS

WRITE = "_write"  # the traced function's argument that collects text
STEPS = "_steps"  # its number of passes through loops
LIMIT, EXCEEDED, EXTENDS = "_limit", "_exceeded", "_extends"  # other names in it


class Code:
    """Statements in order; neighbouring pieces of trace text are joined into one write, which makes traces fast."""

    def __init__(self, origin: ast.stmt) -> None:
        self.origin = origin  # the rule's statement at work: errors at run time report its line
        self._statements: list[ast.stmt] = []
        self._pieces: list[Piece] = []

    def text(self, *pieces: Piece) -> None:
        """When the traced function gets here, it writes ``pieces``."""
        self._pieces += (piece for piece in pieces if piece != "")

    def add(self, *statements: ast.stmt) -> None:
        """When the traced function gets here, it executes ``statements``."""
        if statements:
            self._flush()
        self._statements += (ast.copy_location(statement, self.origin) for statement in statements)

    def close(self) -> list[ast.stmt]:
        """The finished statements, at least one."""
        self._flush()
        return self._statements or [ast.Pass()]

    def _flush(self) -> None:
        if self._pieces:
            self._statements.append(ast.copy_location(write(self._pieces), self.origin))
            self._pieces = []


def load(name: str) -> ast.Name:
    """Read a variable."""
    return ast.Name(name, ast.Load())


def assign(name: str, value: ast.expr) -> ast.Assign:
    """Write a variable."""
    return ast.Assign([ast.Name(name, ast.Store())], value)


def write(pieces: Iterable[Piece]) -> ast.Expr:
    """Write the text of these pieces."""
    return ast.Expr(ast.Call(load(WRITE), [template(pieces)], []))


def template(pieces: Iterable[Piece]) -> ast.expr:
    """An f-string of the pieces; a plain string if no value is among them."""
    values: list[ast.expr] = []
    for piece in pieces:
        if isinstance(piece, ast.FormattedValue):
            values.append(piece)
        elif isinstance(piece, ast.expr):
            values.append(ast.FormattedValue(piece, ord("r"), None))
        elif values and isinstance(values[-1], ast.Constant):
            values[-1] = ast.Constant(values[-1].value + piece)
        else:
            values.append(ast.Constant(piece))
    return values[0] if len(values) == 1 and isinstance(values[0], ast.Constant) else ast.JoinedStr(values)


def compile_function(function: ast.FunctionDef, filename: str) -> Callable:
    """Compile a function with the builtins of the subset and no others."""
    module = ast.fix_missing_locations(ast.Module([function], []))
    namespace: dict[str, Any] = {"__builtins__": BUILTINS, EXCEEDED: StepLimitExceeded, EXTENDS: _require_list}
    exec(compile(module, filename, "exec"), namespace)
    return namespace[function.name]


def _require_list(place: Any, value: Any) -> None:
    """``xs += 'ab'`` would be told as ``xs = xs + 'ab'``, which is not Python."""
    if isinstance(place, list) and not isinstance(value, list):
        raise TypeError(f"`+=` adds the {type(value).__name__} {value!r:.50} to a list; write `extend`")
