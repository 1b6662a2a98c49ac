"""An oracle for traces: Python itself runs the plain rule under ``sys.settrace``, and every state shown is compared.

It shares no code with the instrumentation and knows nothing of expressions: it sees lines and variables only.
"""

import re
import sys
from dataclasses import dataclass
from typing import Any

from megatron_rfft.rules import ANSWER_PREFIX, Rule, copy_value
from megatron_rfft.rules.subset import BUILTINS

_OUTCOMES = {"enter the loop", "do not enter", "enter if", "do not enter if"}
_LITERAL = re.compile(r"\w+ = ('.*'|-?\d+(\.\d+)?|True|False|None|\[.*\]|\{.*\}|\(.*\))")


@dataclass
class Event:
    """A line about to be executed, with the variables as they are then."""

    line: str
    state: dict[str, Any]


def execute(rule: Rule, arguments: tuple) -> tuple[list[Event], Any]:
    """The executed lines of the plain rule in order, and what it returns."""
    lines = rule.source.split("\n")
    scope: dict[str, Any] = {"__builtins__": BUILTINS}
    exec(compile(rule.source, "<oracle>", "exec"), scope)
    events: list[Event] = []

    def watch(frame, kind, _):
        if frame.f_code.co_filename != "<oracle>":
            return None
        if kind == "line":
            state = {name: copy_value(value) for name, value in frame.f_locals.items()}
            events.append(Event(lines[frame.f_lineno - 1].strip(), state))
        return watch

    arguments = copy_value(arguments)
    before = sys.gettrace()
    sys.settrace(watch)
    try:
        answer = scope[rule.name](*arguments)
    finally:
        sys.settrace(before)
    return events, answer


def disagreements(rule: Rule, arguments: tuple, text: str) -> list[str]:
    """What a full trace says otherwise than Python: lines executed, states before and after them, the answer."""
    events, answer = execute(rule, arguments)
    problems: list[str] = []
    at, before_state = -1, False  # before_state: the lines that follow show variables before the recited line
    for number, line in enumerate(text.split("\n"), 1):
        following = events[at + 1] if at + 1 < len(events) else None
        if not before_state and following is not None and line == following.line:
            at += 1
            literal = _LITERAL.fullmatch(line) and rule_shows_nothing(line)
            before_state = not literal and line not in ("break", "continue", "pass")
        elif line in _OUTCOMES or line.startswith("now, "):
            before_state = False
            if line.startswith("now, ") and following is not None:
                problems += _compare(number, line.removeprefix("now, "), following.state)
        elif before_state and at >= 0 and (match := re.fullmatch(r"(\w+) = (.*)", line)):
            name, shown = match.groups()
            if name in events[at].state and repr(events[at].state[name]) != shown:
                problems.append(f"line {number}: {name} is {events[at].state[name]!r}, shown is {shown}")
    if at != len(events) - 1:
        problems.append(f"the trace recites {at + 1} of {len(events)} executed lines")
    if not text.endswith(f"\n{ANSWER_PREFIX}{answer!r}"):
        problems.append(f"Python's answer is {answer!r}")
    return problems


def rule_shows_nothing(line: str) -> bool:
    """Whether ``name = literal`` is written as Python prints it: such a line shows itself what it does."""
    _, _, source = line.partition(" = ")
    try:
        return repr(eval(source, {"__builtins__": {}})) == source
    except Exception:
        return False


def _compare(number: int, chain: str, state: dict[str, Any]) -> list[str]:
    """The first and last member of ``target = ... = value``."""
    target, _, rest = chain.partition(" = ")
    try:
        actual = repr(eval(target, {"__builtins__": {}}, state))
    except Exception as error:
        return [f"line {number}: {target} has no value ({error})"]
    return [] if rest == actual or rest.endswith(f" = {actual}") else [f"line {number}: {target} is {actual}: {chain}"]
