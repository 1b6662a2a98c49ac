"""A way through a traced function while ``texts`` rewrites it: which texts are known, what is still to be written."""

import ast
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace

from megatron_rfft.rules.code import assign, load, template, write

_AS_IT_IS = -1  # how a formatted value that is a text is written


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a variable of the traced function holds."""

    name: str


@dataclass(frozen=True, slots=True)
class Value:
    """A value whose text is made where it is written, and kept under a name if there is one."""

    value: ast.expr
    reads: frozenset[str]
    kept: str | None
    origin: ast.stmt  # the write that shows it: an error reports its line


Piece = str | Text | Value


@dataclass
class Way:
    """One way through the function, as far as it has come."""

    texts: dict[str, str | Text]
    """The variables whose text is known."""
    statements: list[ast.stmt] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    """What is still to be written."""

    def fork(self) -> "Way":
        return Way(dict(self.texts), [], list(self.pieces))

    def write(self) -> None:
        """Write what is still to be written."""
        if self.pieces:
            self.statements.append(write(map(_formatted, self.pieces)))
            self.pieces = []

    def settle(self, change: Container[str], fresh: Callable[[], str]) -> None:
        """Make the texts of values that are about to change: what is still to be written shows the old ones."""
        for place, piece in enumerate(self.pieces):
            if isinstance(piece, Value) and any(name in change for name in piece.reads):
                name = piece.kept or fresh()
                self.make(name, piece)
                self.pieces[place] = Text(name)

    def make(self, name: str, shown: Value) -> None:
        """Make the text of a value now."""
        self.statements.append(assign(name, template([_formatted(replace(shown, kept=None))])))

    def mentions(self, name: str) -> bool:
        """Whether a piece that is still to be written is the text of this name."""
        return any(piece == Text(name) or getattr(piece, "kept", None) == name for piece in self.pieces)

    def text_of(self, value: ast.expr) -> str | Text | None:
        """The text of a variable or literal, if it is known."""
        return self.texts.get(value.id) if isinstance(value, ast.Name) else ast.unparse(value)

    def forget(self, text: Text) -> None:
        """The text is about to be made anew: no variable goes by it any longer."""
        for name in [name for name, known in self.texts.items() if known == text]:
            del self.texts[name]

    def move(self, moves: Mapping[str, str | Text]) -> None:
        """Give texts to names, all at once."""
        stores = [ast.Name(name, ast.Store()) for name in moves]
        values = [ast.Constant(text) if isinstance(text, str) else load(text.name) for text in moves.values()]
        if len(moves) > 1 and any(isinstance(text, Text) and text.name in moves for text in moves.values()):
            self.statements.append(ast.Assign([ast.Tuple(stores, ast.Store())], ast.Tuple(values, ast.Load())))
        else:
            self.statements += (ast.Assign([store], value) for store, value in zip(stores, values, strict=True))


def _formatted(piece: Piece) -> str | ast.FormattedValue:
    """The piece in an f-string."""
    if isinstance(piece, str):
        return piece
    if isinstance(piece, Text):
        return ast.FormattedValue(load(piece.name), _AS_IT_IS, None)
    shown = ast.copy_location(ast.FormattedValue(piece.value, ord("r"), None), piece.origin)
    if piece.kept is None:
        return shown
    made = ast.NamedExpr(ast.Name(piece.kept, ast.Store()), ast.JoinedStr([shown]))
    return ast.FormattedValue(made, _AS_IT_IS, None)
