"""The styles of traces: what each recites and shows. ``instrument`` explains their grammar."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from megatron_rfft.rules.blocks import Layout, loop_title
from megatron_rfft.rules.flow import States, shown_states
from megatron_rfft.rules.sentences import sentences
from megatron_rfft.rules.subset import RuleError, chained_if, recite

STYLES = ("full", "lean", "blocks", "sentences", "scratchpad")


def check_style(name: str) -> None:
    if name not in STYLES:
        raise RuleError(f"trace style {name!r} is unknown; choose one of {', '.join(STYLES)}")


@dataclass(frozen=True)
class Style:
    """What a trace says about a rule's statements; ``instrument`` writes it, in the same order for every style."""

    recitation: Callable[[ast.stmt], str]  # the line of a statement, "" for none
    otherwise: Callable[[ast.If], str] = lambda branch: "else:\n"
    start: str = "1. Initialize\n"
    has_headers: bool = True  # of the loops and the return
    shows_arguments: bool = True
    shows_tests: bool = True  # the variables of a loop's test, and how a test came out
    shows_reads: bool = True  # the variables that other statements read, and how values come about
    shows_counters: bool = True  # the number that ``count += 1`` reads, where other reads are not shown
    shows_returned: bool = True  # the variables that a return reads, and how the answer comes about
    shows_changes: bool = True  # new values
    has_code: bool = True  # a chain begins with the expression
    value_prefix: str = ""  # of a line that shows a value which no variable takes
    states: States = field(default_factory=dict)  # the variables that a loop's test shows all in one line
    loop_title: Callable[[ast.While, int], str] = lambda loop, depth: "Inner loop" if depth else "Main loop"
    layout: Layout | None = None  # of a style that recites several statements together


def style_of(name: str, function: ast.FunctionDef) -> Style:
    """The style ``name``, one of STYLES, for the rule."""
    if name == "blocks":
        return Style(lambda statement: f"{recite(statement)}\n", loop_title=loop_title, layout=Layout(function))
    if name in ("full", "lean"):
        lines = dict(_code_lines(function))
        return Style(lambda statement: lines[id(statement)], shows_reads=name == "full")
    if name == "scratchpad":
        return Style(
            lambda statement: "",
            lambda branch: "",
            start="",
            has_headers=False,
            shows_arguments=False,
            shows_tests=False,
            shows_reads=False,
            shows_counters=False,
            shows_returned=False,
            shows_changes=False,
            states=shown_states(function),
        )
    written = sentences(function)
    lines = {id(line.statement): f"{line.text}\n" for line in written if not line.otherwise}
    others = {id(line.statement): f"{line.text}\n" for line in written if line.otherwise}
    return Style(
        lambda statement: lines[id(statement)],
        lambda branch: others[id(branch)],
        start="Start\n",
        has_headers=False,
        has_code=False,
        value_prefix="that is, ",
    )


def _code_lines(function: ast.FunctionDef):
    chained = {id(chained_if(node.orelse)) for node in ast.walk(function) if isinstance(node, ast.If)}
    for node in ast.walk(function):
        if isinstance(node, ast.stmt) and node is not function:
            yield id(node), f"{'el' * (id(node) in chained)}{recite(node)}\n"
