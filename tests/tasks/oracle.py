"""Oracles for traces: Python itself runs the plain rule under ``sys.settrace``, and every state shown is compared.

They share no code with the instrumentation and know nothing of its temporaries: they see lines and variables only.
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


_CHANGING = r"\.(pop|append|insert|extend|remove|reverse|clear)\("
_SILENT = ("break", "continue", "pass")


def disagreements_in_blocks(rule: Rule, arguments: tuple, text: str) -> list[str]:
    """What a trace in blocks says otherwise than Python: tests and new values in their order, old values, the answer.

    Results are told apart from where their statements are recited: each new value is matched with the next executed
    line that changes its variable, and no line may be left without one.
    """
    events, answer = execute(rule, arguments)
    source = {line.strip() for line in rule.source.split("\n")}
    problems: list[str] = []
    at, told = 0, set()  # the event whose new values come next, and those of the event before that have come
    for number, line in enumerate(text.split("\n"), 1):
        target = line.removeprefix("now, ").partition(" = ")[0] if line.startswith("now, ") else ""
        # Parts of a variable come before the whole of it: another part behind the whole is the next statement's.
        whole = target.partition("[")[0]
        if target and at and not {target, whole} & told and _changes(events[at - 1].line, target):
            told.add(target)
            problems += _compare(number, line.removeprefix("now, "), events[at].state)
            continue
        ahead = at
        while ahead < len(events) and _is_silent(events[ahead].line) and line != f"now, {events[ahead].line}":
            ahead += 1
        if ahead == len(events):
            return [*problems, f"line {number}: Python has finished"]
        event = events[ahead]
        if line in _OUTCOMES:
            keyword, _, test = event.line.rstrip(":").partition(" ")
            if keyword not in (("if", "elif") if line.endswith("if") else ("while",)):
                return [*problems, f"line {number}: {line} after {event.line}"]
            if bool(eval(test, {"__builtins__": BUILTINS}, copy_value(event.state))) == line.startswith("do not"):
                problems.append(f"line {number}: {line} after {event.line}")
            at, told = ahead + 1, set()
        elif target:
            if not _changes(event.line, target):
                return [*problems, f"line {number}: {event.line} does not change {target}"]
            at, told = ahead + 1, {target}
            problems += _compare(number, line.removeprefix("now, "), events[at].state)
        elif line.strip() not in source and not line[:1].isdigit() and " = " in line:
            problems += _shown(number, line, [event, *([events[at - 1]] if told else [])])
    if any(not _is_silent(event.line) for event in events[at:-1]):
        problems.append(f"the trace tells {at + 1} of {len(events)} executed lines")
    return problems if text.endswith(f"\n{ANSWER_PREFIX}{answer!r}") else [*problems, f"Python's answer is {answer!r}"]


def _shown(number: int, line: str, events: list[Event]) -> list[str]:
    """A variable's old value, or the value of a sub-expression, before one of ``events``."""
    code, _, value = line.partition(" = ")
    if "'" in code or (".pop(" in events[0].line and code not in events[0].state):
        return []  # ` = ` may stand in a string; a call may have changed the state since
    for event in events:
        try:
            if repr(eval(code, {"__builtins__": BUILTINS}, copy_value(event.state))) == value:
                return []
        except Exception:  # a statement that is not this line's
            continue
    return [f"line {number}: {code} is not {value}"]


def _is_silent(line: str) -> bool:
    return line in _SILENT or (_LITERAL.fullmatch(line) is not None and rule_shows_nothing(line))


def _changes(line: str, target: str) -> bool:
    """Whether the executed line changes the variable that ``target`` belongs to."""
    name = re.match(r"\w+", target).group()
    left = re.split(r" \S*= ", line)[0] if re.search(r" \S*= ", line) else ""
    places = re.sub(r"\[[^,]*", "", left).split(", ")
    return name in places or re.search(rf"\b{name}\b[^ ]*?{_CHANGING}", line) is not None


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
