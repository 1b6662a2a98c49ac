"""A rule put together from lines that were compiled before: for rules that are traced once and thrown away.

To parse, instrument and compile a rule takes some milliseconds, to trace it a twentieth of that. Random rules differ,
but their lines repeat, since the names are stand-ins (``placeholders``): so each distinct line is compiled once
(``rule_lines``). A rule is then a small tree of such functions over the values of its variables.

The styles in which other parts of the rule matter (numbered sentences, states) are left to ``Rule``.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from megatron_rfft.rules.line_shapes import NUM_SLOTS, SLOTS
from megatron_rfft.rules.rule import STEP_LIMIT, Rule, StepLimitError, Trace, copy_value
from megatron_rfft.rules.rule_lines import (
    BREAK,
    CONTINUE,
    STEPS_SLOT,
    Line,
    State,
    Step,
    Words,
    line_of,
    words_of,
)
from megatron_rfft.rules.subset import RuleError

STYLES_BY_LINE = ("full", "lean")


_Node = tuple[Line, Sequence["_Node"], Sequence["_Node"]]
"""A line, the nodes of the lines below it and, of an ``if``, those of its ``else``."""


class AssembledRule:
    """What ``Rule`` is, for a canonical source whose names are stand-ins; several times faster to trace once."""

    def __init__(self, source: str, step_limit: int = STEP_LIMIT) -> None:
        self.source = source
        self.step_limit = step_limit
        header, *lines = source.split("\n")
        self.name = header[4]
        self.parameters = tuple(header[6:-2].split(", "))
        self._slots = [SLOTS[name] for name in self.parameters]
        self._lines, self._body = _parsed(lines)

    def trace(self, *arguments: Any, style: str = "full") -> Trace:
        """As ``Rule.trace``."""
        if style not in STYLES_BY_LINE:
            return self._rule.trace(*arguments, style=style)
        pieces = [words_of(style, 0, 0).start]
        pieces += [f"{name} = {value!r}\n" for name, value in zip(self.parameters, arguments, strict=True)]
        answer, steps = self._execute(_Tracing(self, style).block(self._body, 0), arguments, pieces.append)
        return Trace("".join(pieces), answer, steps)

    def run(self, *arguments: Any) -> Any:
        """As ``Rule.run``."""
        return self._execute(_Running(self).block(self._body), arguments, None)[0]

    def state_of(self, arguments: Sequence[Any]) -> State:
        """What a ``Trial`` starts from for these arguments, the same for all rules with the same parameters."""
        state: State = [None] * NUM_SLOTS
        for slot, argument in zip(self._slots, arguments, strict=True):
            state[slot] = argument
        state[STEPS_SLOT] = 0
        return state

    def trial(self) -> "Trial":
        """To try the rule out on a few states."""
        return Trial(self, self._body)

    @property
    def commented(self) -> str:
        """As ``Rule.commented``."""
        return self._rule.commented

    @property
    def sentences(self) -> str:
        """As ``Rule.sentences``."""
        return self._rule.sentences

    @cached_property
    def _rule(self) -> Rule:
        return Rule(self.source, self.step_limit)

    def tables(self) -> frozenset[str]:
        """As ``sharing.lookup_tables``, from what is known of the lines."""
        facts = [line.facts for line in self._lines]
        set_once = {line.literal for line in facts if line.literal}
        found = set_once.union(self.parameters).difference(*[line.read for line in facts])
        if not found:  # as in nearly all rules
            return frozenset()
        written = [name for line in facts for name in line.written]
        return frozenset(name for name in found if written.count(name) == (name in set_once))

    def may_be_table(self, name: str) -> bool:
        """Whether it is worth to look through the lines: no, for the variables that loops mostly test."""
        return f"    {name} = {name}" not in self.source and f"    {name} +=" not in self.source

    @property
    def return_section(self) -> int:
        return 2 + self.source.count("    while ")

    def _execute(self, steps: list[Step], arguments: tuple, write: Callable[[str], Any] | None) -> tuple[Any, int]:
        state = self.state_of([copy_value(argument) for argument in arguments])
        try:
            for step in steps:
                if (left := step(state, write)) is not None:
                    return left
        except StepLimitError:
            raise
        except Exception as error:
            raise RuleError(f"rule {self.source!r}: {type(error).__name__}: {error} on {arguments!r:.200}") from error
        raise AssertionError("a rule's last line is a return")


class Trial:
    """Runs a rule without a trace, and keeps how its tests come out."""

    def __init__(self, rule: AssembledRule, nodes: Sequence[_Node]) -> None:
        self._running = _Running(rule)
        self._steps = self._running.block(nodes)

    def answer(self, start: State) -> Any:
        """The answer from a state, which stays as it is."""
        state = start.copy()
        for step in self._steps:
            if (left := step(state, None)) is not None:
                return left[0]
        raise AssertionError("a rule's last line is a return")

    @property
    def came_out_both_ways(self) -> bool:
        """Whether every test has held and has failed; a loop's has to hold once, it fails at last in any case."""
        return all(yes and no for yes, no in self._running.outcomes)


class _Running:
    """Makes the steps of a rule's lines without a trace, and keeps how their tests come out."""

    def __init__(self, rule: AssembledRule) -> None:
        self.limit = rule.step_limit
        self.outcomes: list[list[bool]] = []  # of each test: whether it held, and whether it failed

    def block(self, nodes: Sequence[_Node]) -> list[Step]:
        return [
            line.plain
            if not line.is_block
            else self.loop(line, body)
            if line.is_loop
            else self.branch(line, body, otherwise)
            for line, body, otherwise in nodes
        ]

    def loop(self, line: Line, nodes: Sequence[_Node]) -> Step:
        outcomes = [False, True]
        self.outcomes.append(outcomes)
        return _loop(line.plain, self.block(nodes), self.limit, outcomes)

    def branch(self, line: Line, nodes: Sequence[_Node], others: Sequence[_Node]) -> Step:
        test, body, otherwise = line.plain, _in_order(self.block(nodes)), _in_order(self.block(others))
        outcomes = [False, False]
        self.outcomes.append(outcomes)

        def branch(state: State, write: None) -> Any:
            if test(state, write):
                outcomes[0] = True
                return body(state, write)
            outcomes[1] = True
            return otherwise and otherwise(state, write)

        return branch


class _Tracing:
    """Makes the steps of a rule's lines in one style."""

    def __init__(self, rule: AssembledRule, style: str) -> None:
        self.rule = rule
        self.style, self.is_lean = style, style == "lean"
        self.sections = 1
        self._tables: frozenset[str] | None = None

    def block(self, nodes: Sequence[_Node], depth: int, header: tuple[str, ...] = ()) -> list[Step]:
        steps = []
        for line, body, otherwise in nodes:
            if line.is_loop:
                steps.append(self.loop(line, body, depth))
            elif line.is_block:
                steps.append(self.branch(line, body, otherwise, depth, header))
            elif line.is_return:
                steps.append(line.traced(self.style, (), self.tables_in(line), self.rule.return_section))
            else:
                steps.append(line.traced(self.style, header, self.tables_in(line)))
        return steps

    def tables_in(self, line: Line) -> tuple[str, ...]:
        """The tables among the names of a line that would else show them."""
        shown = line.facts.shown if line.is_loop else line.facts.read if line.is_return else ()
        if self.is_lean and not any(map(self.rule.may_be_table, shown)):
            return ()
        if self._tables is None:
            self._tables = self.rule.tables()
        return tuple(name for name in self._tables if name in line.text) if self._tables else ()

    def loop(self, line: Line, nodes: Sequence[_Node], depth: int) -> Step:
        self.sections += 1
        words = words_of(self.style, self.sections, depth)
        test = line.traced(self.style, (), self.tables_in(line))
        shown = line.facts.shown if self.is_lean and not _leaves_early(nodes) else ()
        return _loop(test, self.block(nodes, depth + 1, shown), self.rule.step_limit, [False, True], words)

    def branch(
        self, line: Line, nodes: Sequence[_Node], others: Sequence[_Node], depth: int, header: tuple[str, ...]
    ) -> Step:
        words = words_of(self.style, 0, 0)
        test = line.traced(self.style, (), self.tables_in(line))
        body, otherwise = (_in_order(self.block(below, depth, header)) for below in (nodes, others))
        is_chain = others and others[0][0].is_elif
        enter = words.enter_if
        stop = words.no_if + "else:\n" if others and not is_chain else words.no_if

        def branch(state: State, write: Callable[[str], Any]) -> Any:
            if test(state, write):
                write(enter)
                return body(state, write)
            write(stop)
            return otherwise and otherwise(state, write)

        return branch


def _loop(test: Step, body: list[Step], limit: int, outcomes: list[bool], words: Words | None = None) -> Step:
    """The step of a loop, which notes in ``outcomes`` that its test has held; ``words`` of a style if it is traced."""
    header, enter, stop = (words.loop, words.enter, words.stop) if words else ("", "", "")

    def loop(state: State, write: Callable[[str], Any] | None) -> Any:
        if write is not None:
            write(header)
        while test(state, write):
            outcomes[0] = True
            state[STEPS_SLOT] += 1
            if state[STEPS_SLOT] > limit:
                raise _too_many(limit)
            if write is not None:
                write(enter)
            for step in body:
                left = step(state, write)
                if left is not None:
                    if left == CONTINUE:
                        break
                    return None if left == BREAK else left
        if write is not None:
            write(stop)
        return None

    return loop


def _in_order(steps: list[Step]) -> Step | None:
    """One step of these; None for none."""
    if len(steps) < 2:
        return steps[0] if steps else None

    def all_steps(state: State, write: Callable[[str], Any] | None) -> Any:
        for step in steps:
            left = step(state, write)
            if left is not None:
                return left
        return None

    return all_steps


def _too_many(limit: int) -> StepLimitError:
    return StepLimitError(f"a random rule made more than {limit} passes through loops; raise step_limit")


# The tree of a source


def _parsed(source: list[str]) -> tuple[list[Line], list[_Node]]:
    """The canonical lines, each indented by 4 spaces a level, the first level by one; and the tree that they make.

    What stands behind ``elif`` and ``else`` is put below the ``if`` before.
    """
    lines: list[Line] = []
    top: list[_Node] = []
    blocks = [top]  # the open block of each level
    for indented in source:
        level, line = line_of(indented)
        del blocks[level:]
        block = blocks[-1]
        if not line.is_block:
            block.append(line.node)
        elif line.text == "else:":
            blocks.append(_last_otherwise(block))
            continue
        else:
            body: list[_Node] = []
            (_last_otherwise(block) if line.is_elif else block).append((line, body, []))
            blocks.append(body)
        lines.append(line)
    return lines, top


def _last_otherwise(block: list[_Node]) -> list[_Node]:
    """Where what stands behind the last ``if`` or ``elif`` of the chain goes that the block ends in."""
    otherwise = block[-1][2]
    while otherwise:
        otherwise = otherwise[0][2]
    return otherwise


def _leaves_early(nodes: Sequence[_Node]) -> bool:
    return any(
        line.leaves_early or (line.is_block and (_leaves_early(body) or _leaves_early(otherwise)))
        for line, body, otherwise in nodes
    )
