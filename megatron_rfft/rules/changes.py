"""Which variables' texts a statement changes: those that it assigns, and those that hold what it changes in place."""

import ast
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cached_property

from megatron_rfft.rules.code import STEPS, load
from megatron_rfft.rules.sharing import JOINING, Sharing, receivers
from megatron_rfft.rules.subset import assignment_targets, base_name

Changes = Callable[[ast.stmt], Container[str]]
"""The variables whose text a statement may change, under whatever name. A nested block's are not counted."""


def changes_in_line(statement: ast.stmt) -> Container[str]:
    """``Changes`` where the rest of the rule is not known: what changes in place may have any name."""
    return _Everything() if _changed_in_place(statement) else _assigned(statement)


class _Everything:
    def __contains__(self, name: str) -> bool:
        return True


@dataclass(frozen=True)
class _InPlace:
    """These variables, and all temporaries, which the rule does not know."""

    names: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.names or _is_temporary(name)


class ChangesInRule:
    """``Changes`` from the rule that a traced function was built of."""

    def __init__(self, rule: ast.FunctionDef) -> None:
        self._rule = rule

    def __call__(self, statement: ast.stmt) -> Container[str]:
        assigned, places = _assigned(statement), _changed_in_place(statement)
        if any(_is_temporary(base_name(place)) for place in places):  # it may hold what is in a list of the rule
            return _Everything()
        changed = {whole for place in places for whole in self._sharing.objects(place)}
        if not changed:
            return assigned
        return _InPlace(assigned.union(name for name, reached in self._reached.items() if changed & reached))

    @cached_property
    def _sharing(self) -> Sharing:
        return Sharing(self._rule)

    @cached_property
    def _reached(self) -> dict[str, frozenset[int]]:
        """For each variable the objects that its text shows."""
        names = {node.id for node in ast.walk(self._rule) if isinstance(node, ast.Name)}
        return {name: self._sharing.reached([load(name)]) for name in names}


def _counts_passes(statement: ast.AugAssign) -> bool:
    return isinstance(statement.target, ast.Name) and statement.target.id == STEPS


def _is_temporary(name: str) -> bool:
    """Whether the name is not one of the rule's."""
    return name.startswith("_")


def _assigned(statement: ast.stmt) -> frozenset[str]:
    return frozenset(map(base_name, assignment_targets(statement)))


def _changed_in_place(statement: ast.stmt) -> list[ast.expr]:
    """What the lists and dicts that the statement changes are called in it."""
    places = [target.value for target in assignment_targets(statement) if isinstance(target, ast.Subscript)]
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, JOINING) and not _counts_passes(statement):
        places.append(statement.target)
    return places + receivers(statement)
