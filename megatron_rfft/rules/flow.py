"""Which variables a scratchpad shows at each loop test: those that the loop changes and that surely exist by then."""

import ast
from collections.abc import Iterable

from megatron_rfft.rules.subset import mutated_names, target_names

States = dict[int, list[str]]  # the id of a loop (or of a return, in a rule without loops): the variables shown there


def shown_states(function: ast.FunctionDef) -> States:
    """The variables to show at each loop test, in the order in which the rule first mentions them.

    A rule without loops has no such place. There the variables that it has changed are shown at the return: they are
    its intermediate results, without which this style would be the bare answer.
    """
    order = [argument.arg for argument in function.args.args]
    order += (name for name in _changed(function.body) if name not in order)
    flow = _Flow(order)
    flow.block(function.body, frozenset(order[: len(function.args.args)]))
    if flow.loops:
        return flow.loops
    changed = set(_changed(function.body))
    return {place: [name for name in names if name in changed] for place, names in flow.returns.items()}


def _changed(body: Iterable[ast.stmt]) -> list[str]:
    """Variables that are assigned or changed in ``body``, in order."""
    found: dict[str, None] = {}
    for statement in body:
        parts = [part for part in (getattr(statement, "test", None), getattr(statement, "value", None)) if part]
        names = [*target_names(statement), *(name for part in parts for name in mutated_names(part))]
        blocks = [*getattr(statement, "body", []), *getattr(statement, "orelse", [])]
        found |= dict.fromkeys([*names, *_changed(blocks)])
    return list(found)


class _Flow:
    """Definite assignment: walks a block with the set of variables that every way to its statements has assigned."""

    def __init__(self, order: list[str]) -> None:
        self.order = order
        self.loops: States = {}
        self.returns: States = {}

    def block(self, body: list[ast.stmt], known: frozenset[str]) -> frozenset[str] | None:
        """Variables assigned behind ``body``; None if no way leads there."""
        for statement in body:
            match statement:
                case ast.While():
                    self.loops[id(statement)] = self.select(known.intersection(_changed([statement])))
                    self.block(statement.body, known)  # may be skipped: what it assigns is not known behind it
                case ast.If():
                    ends = [self.block(branch, known) for branch in (statement.body, statement.orelse)]
                    reached = [end for end in ends if end is not None]
                    if not reached:
                        return None
                    known = frozenset.intersection(*reached)
                case ast.Return():
                    self.returns[id(statement)] = self.select(known)
                    return None
                case ast.Break() | ast.Continue():
                    return None
                case _:
                    known = known.union(target_names(statement))
        return known

    def select(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=self.order.index)
