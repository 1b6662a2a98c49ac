"""A rule followed statement by statement, in the order in which a trace tells of it."""

import ast
from collections.abc import Generator, Iterable
from typing import Any

from megatron_rfft.rules.blocks import Run

Lines = Generator[Any, None, Any]


class Walk:
    """Subclasses yield what each kind of statement has: its lines, or what is known of them.

    ``loop``, ``branch``, ``leave``, ``statement`` and ``run`` return what leaves the block after them, such as
    ``break``; None where nothing does.
    """

    def segments(self, body: list[ast.stmt]) -> Iterable[Run | ast.stmt]:
        """The statements of a block; runs of them in the style ``blocks``."""
        return body

    def block(self, body: list[ast.stmt], is_recited: bool = False) -> Lines:
        """``is_recited``: in the style ``blocks``, the first run has been recited with the ``if``."""
        for segment in self.segments(body):
            match segment:
                case Run():
                    leave = yield from self.run(segment, is_recited)
                case ast.While():
                    leave = yield from self.loop(segment)
                case ast.If():
                    leave = yield from self.branch(segment)
                case ast.Return():
                    leave = yield from self.leave(segment)
                case _:
                    leave = yield from self.statement(segment)
            if leave:
                return leave
            is_recited = False
        return None
