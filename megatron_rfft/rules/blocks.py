"""What the style ``blocks`` recites together: runs of simple statements, and an ``if`` with the run that comes then.

The paper prints its own traces like this. ``instrument_blocks`` writes the style, whose grammar stands there.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from megatron_rfft.rules.sharing import Sharing, lookup_tables, receivers
from megatron_rfft.rules.subset import (
    assignment_targets,
    in_order,
    is_literal_assignment,
    names_read,
    recite,
    target_names,
    unparse,
)

INDENT = "    "
_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Pass)
_LEAVING = (ast.Break, ast.Continue)


@dataclass(frozen=True)
class Run:
    """Statements of a block that follow one another and are recited together; ``break`` or ``continue`` may end them.

    ``shown`` are the variables whose old values come next: those that the run reads before it shows them anew, without
    those that the test of its ``if`` has just shown.
    """

    statements: list[ast.stmt]
    shown: list[str]

    @property
    def shows_itself(self) -> bool:
        """Whether each line is ``name = literal`` or computes nothing, so that reciting the run says it all."""
        return all(isinstance(s, (ast.Pass, *_LEAVING)) or is_literal_assignment(s) for s in self.statements)

    @property
    def lines(self) -> list[str]:
        return [recite(statement) for statement in self.statements]


Segment = Run | ast.While | ast.If | ast.Return


class Layout:
    """The runs of a rule."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self._function = function
        self._segments: dict[int, list[Segment]] = {}  # by the id of a block's first statement
        self.tables = lookup_tables(function)
        branches = (node for node in in_order(function) if isinstance(node, ast.If))
        self._tested = {id(branch.body[0]): names_read(branch) for branch in branches}  # by a body's first statement

    def segments(self, body: list[ast.stmt]) -> list[Segment]:
        """The runs of a block, and what stands between them."""
        if not body:
            return []
        key = id(body[0])
        if key not in self._segments:
            self._segments[key] = list(self._split(body))
        return self._segments[key]

    def recited_with(self, branch: ast.If, word: str) -> list[str]:
        """The lines of ``if test:``, or ``elif test:`` for the ``word``, and the run that its body begins with."""
        return [f"{word} {unparse(branch.test)}:", *self._lead(branch.body)]

    def recited_otherwise(self, branch: ast.If) -> list[str]:
        """The lines of ``else:`` and of the run that comes then."""
        return ["else:", *self._lead(branch.orelse)]

    def _lead(self, body: list[ast.stmt]) -> list[str]:
        lines: list[str] = []
        for segment in self.segments(body)[:2]:
            if isinstance(segment, ast.Return):
                lines.append(recite(segment))
            elif isinstance(segment, Run) and not lines:
                lines += segment.lines
            if not isinstance(segment, Run) or isinstance(segment.statements[-1], _LEAVING):
                break
        return [INDENT + line for line in lines]

    def _split(self, body: list[ast.stmt]) -> Iterator[Segment]:
        pending: list[ast.stmt] = []
        for statement in body:
            if isinstance(statement, _SIMPLE) and pending and self._needs_showing(pending, statement):
                yield self._run(pending)
                pending = []
            if isinstance(statement, (*_SIMPLE, *_LEAVING)):
                pending.append(statement)
            if pending and not isinstance(statement, _SIMPLE):
                yield self._run(pending)
                pending = []
            if not isinstance(statement, (*_SIMPLE, *_LEAVING)):
                yield statement
        if pending:
            yield self._run(pending)

    def _run(self, statements: list[ast.stmt]) -> Run:
        known = self.tables.union(self._tested.get(id(statements[0]), ()))
        shown: list[str] = []
        for statement in statements:
            shown += (name for name in names_read(statement) if name not in known)
            known.update(shown, target_names(statement))
        return Run(statements, shown)

    def _needs_showing(self, before: list[ast.stmt], statement: ast.stmt) -> bool:
        """Whether ``before`` changes what ``statement`` reads by another name, so that it has to be shown again."""
        changing = [other for other in before if _may_change(other)]
        if not changing:
            return False
        changes = [change for other in changing for change in self._sharing.changed(other).items()]
        for name in names_read(statement):
            reached = self._sharing.reached([ast.Name(name, ast.Load())])
            if any(whole in reached and through != name for whole, through in changes):
                return True
        return False

    @cached_property
    def _sharing(self) -> Sharing:
        return Sharing(self._function)


def loop_title(loop: ast.While, depth: int) -> str:
    """What the header calls a loop within ``depth`` others."""
    if depth:
        return "Inner loop"
    within = (node for node in ast.walk(loop) if node is not loop)
    return "Outer loop" if any(isinstance(node, ast.While) for node in within) else "Main loop"


def _may_change(statement: ast.stmt) -> bool:
    targets = assignment_targets(statement)
    in_place = isinstance(statement, ast.AugAssign) and not (
        isinstance(statement.op, ast.Add) and isinstance(statement.value, ast.Constant)
    )
    return in_place or any(isinstance(target, ast.Subscript) for target in targets) or bool(receivers(statement))
