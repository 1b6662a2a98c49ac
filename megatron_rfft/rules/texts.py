"""What makes a traced function fast: it makes the text of a value once, and writes as seldom as it can.

A trace shows a value two to four times before it changes, and most of its time goes into making texts of values. So
once the instrumenter has built a function, the text of a variable is kept in a variable of its own (``_s_xs``) until
the value may change; and neighbouring writes become one, over the statements in between. What is written stays the
same, character by character.

The analysis follows every way through the function. A ``Way`` knows, at the place that it has come to, which texts
are there whichever branches were taken before, and what is still to be written. Lists and dicts may change under
another name: ``sharing`` knows under which.
"""

import ast
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from megatron_rfft.rules.changes import Changes, ChangesInRule
from megatron_rfft.rules.code import WRITE, load
from megatron_rfft.rules.sharing import receivers
from megatron_rfft.rules.subset import is_literal
from megatron_rfft.rules.ways import Text, Value, Way

_KEPT = "_s_"  # what the names of texts begin with; no other name in a traced function does
_MOST_LOOPS = 4  # within each other: each one doubles the time of the analysis
_MOST_PIECES = 40  # that may wait when an `if` comes: each of its branches gets a copy


def keep_texts(function: ast.FunctionDef, rule: ast.FunctionDef) -> None:
    """Rewrite ``function``, which the instrumenter has built of ``rule``, in place."""
    if _depth(function.body) > _MOST_LOOPS:
        return
    with suppress(RecursionError):  # a very long chain of `elif`
        function.body = kept_in(function.body, ChangesInRule(rule))


def kept_in(body: list[ast.stmt], changes: Changes) -> list[ast.stmt]:
    """The statements of a traced function, used up, as statements that write the same."""
    return _Keeper(changes).rewrite(body)


@dataclass
class _Ends:
    """The ways that leave a loop, and those that begin its next pass; with the ``break`` or ``continue`` to come."""

    left: list[tuple[Way, ast.stmt]] = field(default_factory=list)
    again: list[tuple[Way, ast.stmt | None]] = field(default_factory=list)


class _Keeper:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._effects: dict[int, tuple[Container[str], list[tuple[str, ast.expr]]]] = {}
        self._wanted: dict[int, frozenset[str]] = {}  # behind a statement, the variables whose text is shown unchanged
        self._wanted_in: dict[int, frozenset[str]] = {}  # the same at the start of each pass through a loop
        self._numbers = count(1)

    def rewrite(self, body: list[ast.stmt]) -> list[ast.stmt]:
        self._want(body, frozenset(), frozenset(), frozenset())
        way = Way({})
        if self._follow(body, way, None):
            way.write()
        for statement in _nested(way.statements):
            if isinstance(statement, ast.If | ast.While) and not statement.body:
                statement.body.append(ast.Pass())
        return way.statements

    def _effect(self, statement: ast.stmt) -> tuple[Container[str], list[tuple[str, ast.expr]]]:
        """What a simple statement changes, and its ``_copies``."""
        if id(statement) not in self._effects:
            self._effects[id(statement)] = self._changes(statement), _copies(statement)
        return self._effects[id(statement)]

    def _fresh(self) -> str:
        return f"{_KEPT}{next(self._numbers)}"

    # Backward: which texts are worth keeping

    def _want(self, body: Sequence[ast.stmt], after: frozenset[str], left: frozenset[str], again: frozenset[str]):
        """The variables whose text is shown after the start of ``body`` and before it changes.

        ``after`` are those behind ``body``, ``left`` those behind the loop around it, ``again`` those of its next pass.
        """
        for statement in reversed(body):
            self._wanted[id(statement)] = after
            match statement:
                case ast.If():
                    branches = (statement.body, statement.orelse)
                    after = frozenset().union(*(self._want(branch, after, left, again) for branch in branches))
                case ast.While():
                    start: frozenset[str] = frozenset()
                    while (found := self._want(statement.body, start, after, start)) != start:
                        start = found
                    after = self._wanted_in[id(statement)] = start
                case ast.Break() | ast.Continue():
                    after = left if isinstance(statement, ast.Break) else again
                case ast.Return() | ast.Raise():
                    after = frozenset()
                case _ if (parts := _written(statement)) is not None:
                    after = after.union(_names_shown(parts))
                case _:
                    change, copies = self._effect(statement)
                    sources = (value.id for name, value in copies if name in after and _is_name(value))
                    after = frozenset([*sources, *(name for name in after if name not in change)])
        return after

    # Forward: each method takes a way through statements and says whether it gets to their end

    def _follow(self, body: Sequence[ast.stmt], way: Way, ends: _Ends | None) -> bool:
        for statement in body:
            match statement:
                case ast.If():
                    if not self._branch(statement, way, ends):
                        return False
                case ast.While():
                    if not self._loop(statement, way):
                        return False
                case ast.Break():
                    ends.left.append((way, statement))
                    return False
                case ast.Continue():
                    ends.again.append((way, statement))
                    return False
                case ast.Return() | ast.Raise():
                    if isinstance(statement, ast.Return):  # what is raised takes the trace with it
                        way.write()
                    way.statements.append(statement)
                    return False
                case _ if (parts := _written(statement)) is not None:
                    self._show(statement, parts, way)
                case _:
                    self._execute(statement, way)
        return True

    def _show(self, statement: ast.stmt, parts: list[ast.expr], way: Way) -> None:
        wanted = self._wanted[id(statement)]
        for place, part in enumerate(parts):
            if isinstance(part, ast.Constant):
                way.pieces.append(part.value)
                continue
            value, name = part.value, getattr(part.value, "id", None)
            if isinstance(value, ast.Constant):
                way.pieces.append(repr(value.value))
            elif name in way.texts:
                way.pieces.append(way.texts[name])
            else:
                kept = None
                if name and (name in wanted or name in _names_shown(parts[place + 1 :])):
                    kept = f"{_KEPT}{name}"
                    if way.mentions(kept):  # an older text of it is still to be written
                        kept = self._fresh()
                    way.forget(Text(kept))
                    way.texts[name] = Text(kept)
                reads = frozenset(node.id for node in ast.walk(value) if isinstance(node, ast.Name))
                way.pieces.append(Value(value, reads, kept, statement))

    def _execute(self, statement: ast.stmt, way: Way) -> None:
        change, copies = self._effect(statement)
        way.settle(change, self._fresh)
        copied = {name: way.text_of(value) for name, value in copies}
        way.statements.append(statement)
        way.texts = {name: text for name, text in way.texts.items() if name not in change}
        way.texts |= {name: text for name, text in copied.items() if text is not None}

    def _branch(self, branch: ast.If, way: Way, ends: _Ends | None) -> bool:
        if len(way.pieces) > _MOST_PIECES:
            way.write()
        ways = way.fork(), way.fork()
        blocks = zip(ways, (branch.body, branch.orelse), strict=True)
        reached = [end for end, body in blocks if self._follow(body, end, ends)]
        taken, other = (end.statements for end in ways)
        way.statements.append(ast.copy_location(ast.If(branch.test, taken, other), branch))
        self._go_on(way, reached, self._wanted[id(branch)])
        return bool(reached)

    def _loop(self, loop: ast.While, way: Way) -> bool:
        way.write()
        changes = [self._effects[id(inner)][0] for inner in _nested(loop.body) if id(inner) in self._effects]
        shown_first = frozenset(_names_shown(_written(loop.body[0]) or ()))
        names = self._wanted_in[id(loop)].intersection(shown_first.union(way.texts))
        while True:
            start = {name: Text(f"{_KEPT}{name}") for name in sorted(names)}
            for name in names:
                if isinstance(known := way.texts.get(name), str) and not any(name in change for change in changes):
                    start[name] = known
            first, ends = Way(dict(start)), _Ends()
            if self._follow(loop.body, first, ends):
                ends.again.append((first, None))
            kept = names.intersection(*(end.texts for end, _ in ends.again))
            if kept == names:
                break
            names = kept
        way.move({text.name: way.texts[name] for name, text in start.items() if way.texts.get(name, text) != text})
        for name in sorted(names - way.texts.keys()):
            way.make(f"{_KEPT}{name}", Value(load(name), frozenset([name]), None, loop))
        for end, statement in ends.again:
            end.write()
            end.move({text.name: end.texts[name] for name, text in start.items() if end.texts[name] != text})
            end.statements += [statement] if statement else []
        way.statements.append(ast.copy_location(ast.While(loop.test, first.statements, []), loop))
        way.texts = {}
        self._go_on(way, [end for end, _ in ends.left], self._wanted[id(loop)])
        for end, statement in ends.left:
            end.statements.append(statement)
        return bool(ends.left)

    def _go_on(self, way: Way, reached: list[Way], wanted: frozenset[str]) -> None:
        """``way`` goes on where the ways ``reached`` come together, with the texts that all of them know."""
        if len(reached) == 1:
            way.texts, way.pieces = reached[0].texts, reached[0].pieces
            return
        common = wanted.intersection(*(end.texts for end in reached)) if reached else frozenset()
        differ = {name for name in common if len({end.texts[name] for end in reached}) > 1}
        texts = {name: Text(f"{_KEPT}{name}") for name in sorted(differ)}
        for end in reached:
            end.write()
            end.move({text.name: end.texts[name] for name, text in texts.items() if end.texts[name] != text})
        taken = set(texts.values())
        same = {name: reached[0].texts[name] for name in common - differ}
        way.texts = {name: text for name, text in same.items() if text not in taken} | texts
        way.pieces = []


# What the statements of a traced function are


def _written(statement: ast.stmt) -> list[ast.expr] | None:
    """What the statement writes, if it does: constants and formatted values."""
    match statement:
        case ast.Expr(ast.Call(func=ast.Name(id=name), args=[text])) if name == WRITE:
            return text.values if isinstance(text, ast.JoinedStr) else [text]
    return None


def _names_shown(parts: Iterable[ast.expr]) -> list[str]:
    values = (part.value for part in parts if isinstance(part, ast.FormattedValue))
    return [value.id for value in values if _is_name(value)]


def _is_name(value: ast.expr) -> bool:
    return isinstance(value, ast.Name)


def _copies(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    """Variables that get what another one holds, or a literal, and nothing else happens."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
            pairs = list(zip(targets, values, strict=True))
        case ast.Assign(targets=[target]):
            pairs = [(target, statement.value)]
        case _:
            return []
    if not all(_is_name(target) for target, _ in pairs) or receivers(statement):
        return []
    return [(target.id, value) for target, value in pairs if _is_name(value) or is_literal(value)]


def _nested(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        yield from _nested([*getattr(statement, "body", ()), *getattr(statement, "orelse", ())])


def _depth(body: Iterable[ast.stmt]) -> int:
    """How many loops stand within each other."""
    below = (_depth([*getattr(s, "body", ()), *getattr(s, "orelse", ())]) + isinstance(s, ast.While) for s in body)
    return max(below, default=0)
