"""A rule: a short Python function that can be run, and run with every step written down."""

import ast
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import msgspec

from megatron_rfft.rules.blocks import loop_title
from megatron_rfft.rules.bounded import SIZE_LIMIT, Bounds, SizeLimitExceeded, StepLimitExceeded, bounded
from megatron_rfft.rules.code import compile_function
from megatron_rfft.rules.instrument import Instrumenter
from megatron_rfft.rules.instrument_blocks import BlockInstrumenter
from megatron_rfft.rules.limits import check_limits
from megatron_rfft.rules.order import check_order
from megatron_rfft.rules.sentences import sentences
from megatron_rfft.rules.styles import check_style, style_of
from megatron_rfft.rules.subset import RuleError, parse_function, parse_rule, source_of, too_deep
from megatron_rfft.rules.texts import keep_texts

STEP_LIMIT = 10_000


class StepLimitError(RuleError):
    """A rule's loops made more passes than allowed: it may not terminate."""


class Trace(msgspec.Struct, frozen=True, gc=False):
    """What a model learns to write: ``text`` ends in ``So the answer is`` and the repr of ``answer``.

    ``num_steps`` counts passes through loop bodies.
    """

    text: str
    answer: Any
    num_steps: int


class Rule:
    """A traceable function.

    ``source`` holds one Python function of the subset in ``megatron_rfft.rules.subset``; ``step_limit`` bounds the
    passes through all loops in one trace. Raises RuleError, with the line and the fix, for other Python.

    >>> Rule("def total(xs):\\n  n = 0\\n  while xs:\\n    n += xs.pop(0)\\n  return n").trace([3, 4]).answer
    7
    """

    def __init__(self, source: str, step_limit: int = STEP_LIMIT) -> None:
        try:
            function = parse_rule(source)
            check_limits(function)
            check_order(function)
            self.source: str = source_of(function)
        except RecursionError:
            raise too_deep() from None
        self._text = source
        self.step_limit = step_limit
        self.name: str = function.name
        self.parameters: tuple[str, ...] = tuple(argument.arg for argument in function.args.args)
        self._traced: dict[str, Callable] = {}

    def trace(self, *arguments: Any, style: str = "full") -> Trace:
        """Execute the rule and write down each step, in the grammar of ``megatron_rfft.rules.instrument``.

        The caller's arguments are not changed. Raises StepLimitError, or RuleError if the rule fails on them.
        """
        self.check_arguments(arguments)
        traced = self._traced.get(style) or self._instrument(style)
        pieces: list[str] = []
        try:
            answer, steps = traced(*map(copy_value, arguments), pieces.append, self.step_limit)
        except Exception as error:
            raise self._failure(error, arguments) from error
        return Trace("".join(pieces), answer, steps)

    def run(self, *arguments: Any) -> Any:
        """The answer alone, from the function as it stands. The caller's arguments are not changed.

        Raises StepLimitError, or RuleError if the rule fails on them or builds too large a value.
        """
        self.check_arguments(arguments)
        try:
            return self._plain(*map(copy_value, arguments), Bounds(self.step_limit))
        except Exception as error:
            raise self._failure(error, arguments) from error

    def check_arguments(self, arguments: Sequence[Any]) -> None:
        """Raise RuleError unless there is one argument for each parameter."""
        if len(arguments) != len(self.parameters):
            what = f"rule {self.name} has {len(self.parameters)} arguments, not {len(arguments)}"
            raise RuleError(f"{what}; give one for each of {', '.join(self.parameters)}")

    @cached_property
    def _plain(self):
        return compile_function(bounded(self._function()), self._filename)

    @cached_property
    def commented(self) -> str:
        """The source with a comment at each loop that says what a trace in the style ``blocks`` calls it."""
        return source_of(self._function(), loop_title)

    @cached_property
    def sentences(self) -> str:
        """The rule in words: a numbered sentence for each statement, as the style ``sentences`` recites it."""
        return "\n".join("  " * line.depth + line.text for line in sentences(self._function()))

    def _instrument(self, style: str) -> Callable:
        """The traced function of a style, built when the style is first asked for."""
        check_style(style)
        function = self._function()
        instrumenter = BlockInstrumenter if style == "blocks" else Instrumenter
        try:
            traced = instrumenter(function, style_of(style, function)).build()
            keep_texts(traced, function)
            self._traced[style] = compile_function(traced, self._filename)
        except RecursionError:
            raise too_deep() from None
        return self._traced[style]

    def _function(self) -> ast.FunctionDef:
        """The function to compile, which uses it up; to parse again takes a tenth of a deep copy's time."""
        return parse_function(self._text)

    @property
    def _filename(self) -> str:
        return f"<rule {self.name}>"

    def _failure(self, error: Exception, arguments: tuple) -> RuleError:
        if isinstance(error, StepLimitExceeded):
            what = f"more than {self.step_limit} passes through loops on {arguments!r:.200}"
            return StepLimitError(f"rule {self.name}: {what}; fix the loop's end, or raise step_limit")
        line, place = None, error.__traceback__
        while place is not None:
            if place.tb_frame.f_code.co_filename == self._filename:
                line = place.tb_lineno
            place = place.tb_next
        where = f", line {line}" if line else ""
        what = f"{type(error).__name__}: {error}"
        if isinstance(error, SizeLimitExceeded):
            what = f"a value of more than {SIZE_LIMIT} characters, or such values in all that no trace can show them,"
        return RuleError(f"rule {self.name}{where}: {what} on {arguments!r:.200}; fix the rule or the arguments")

    def __repr__(self) -> str:
        return f"Rule({self.name}({', '.join(self.parameters)}))"


_PLAIN = frozenset([str, int, bool, float, type(None)])


def copy_value(value: Any) -> Any:
    """A copy that shares no list or dict with ``value``; several times faster than copy.deepcopy."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list):
        return value.copy() if _PLAIN.issuperset(map(type, value)) else [copy_value(item) for item in value]
    if isinstance(value, dict):
        return {key: copy_value(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(copy_value(item) for item in value)
    return value
