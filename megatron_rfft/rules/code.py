"""The statements of a traced function while it is being built."""

import ast
from collections.abc import Iterable

from megatron_rfft.rules.expressions import Piece

WRITE = "_write"  # the traced function's argument that collects text
STEPS = "_steps"  # its number of passes through loops


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
