"""A gate before a task of one's own is used: what its file promises is tried on a few instances.

The tests look at the package's own tasks. A user's task has none, and a rule that returns the last item for a sum would
give a whole corpus of wrong answers without a word.
"""

import ast
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

from megatron_rfft.common.apart import Report, run_apart
from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import STYLES, Rule, copy_value
from megatron_rfft.tasks.instances import Arguments, generator

if TYPE_CHECKING:
    from megatron_rfft.tasks.task import Task

_NAME = re.compile(r"\w*")  # `xs` of a field `xs[0]`
_PROBES = 3  # instances of each length looked at


def prove_rule(rule: Rule, arguments: Arguments, styles: Iterable[str] = ("full",)) -> Any:
    """Run the rule, then trace it in each of ``styles``; the answer.

    Raises UserError if a trace answers differently, RuleError if the rule fails.
    """
    plain = rule.run(*arguments)  # first: the run has bounds of size
    for style in styles:
        traced = rule.trace(*arguments, style=style).answer
        if repr(traced) != repr(plain):
            raise UserError(
                f"rule {rule.name} answers {traced!r:.100} in a trace and {plain!r:.100} when it is run, on "
                f"{arguments!r:.200}; write its lines in simpler steps"
            )
    return plain


def check_wordings(questions: Sequence[str], rule: Rule) -> None:
    """Raise UserError unless ``questions`` are texts, one at least, with all parameters of the rule in braces."""
    if isinstance(questions, str) or not questions:
        raise UserError(f"questions is {questions!r:.100}; give a list of one wording or more")
    for question in questions:
        if not isinstance(question, str):
            raise UserError(f"the question {question!r:.100} is not a text; write for example 'Sum {{xs}}.'")
        if fault := _lone_surrogate(question):
            raise UserError(f"the question {question!r:.100} holds {fault}; leave it out")
        try:
            fields = {_NAME.match(field)[0] for _, field, _, _ in Formatter().parse(question) if field is not None}
        except ValueError as error:
            raise UserError(f"the question {question!r:.100}: {error}; write a brace itself twice: {{{{") from error
        for field in sorted(fields ^ set(rule.parameters)):
            names = ", ".join(f"{{{name}}}" for name in rule.parameters)
            fault = "has" if field in fields else "lacks"
            fix = f"name {names} and nothing else; write a brace itself twice"
            raise UserError(f"the question {question!r:.100} {fault} {{{field}}}; {fix}")


def check_lengths(lengths: Sequence[int]) -> None:
    """Raise UserError unless ``lengths`` are whole numbers from 1 on, each larger than the one before."""
    known = list(lengths)
    is_whole = all(type(length) is int and length > 0 for length in known)
    if not known or not is_whole or known != sorted(set(known)):
        raise UserError(f"valid_lengths is {lengths!r:.100}; give whole numbers from 1 on in their order: range(1, 61)")


def prove_apart(load: Callable[[], "Task"], where: Path | str) -> None:
    """``prove_task`` of what ``load`` returns, both in a process of its own; ``where`` says whose faults it names.

    Raises UserError as these do, and where the task's code never returns.
    """

    def work(report: Report) -> None:
        report(f"{where}: its import")
        task = load()
        try:
            prove_task(task, lambda what: report(f"{where}: {what}"))
        except UserError as error:
            raise UserError(f"{where}: {error}") from error

    run_apart(work)


def prove_task(task: "Task", report: Report, lengths: Iterable[int] | None = None) -> None:
    """Try the sampler, the rule, its traces and the reference on a few instances of each of ``lengths``.

    By default of the two shortest, a middle and the longest length. ``report`` hears what is called before it is, so
    that one can say what hangs. Raises UserError for the first fault.
    """
    valid = task.valid_lengths
    chosen = lengths or sorted({*valid[:2], valid[len(valid) // 2], valid[-1]})
    places = [(length, number) for length in chosen for number in range(_PROBES)]
    drawn = [draw_probe(task, *place, report) for place in places]
    for place, arguments in zip(places, drawn, strict=True):  # after all others: what a sampler keeps must not matter
        again = draw_probe(task, *place, report)
        if repr(again) != repr(arguments):
            what = f"instance draws {arguments!r:.100}, then {again!r:.100} from the same generator"
            raise UserError(f"{what} at length {place[0]}; draw from `rng` alone, and keep nothing between calls")
    for number, (arguments, (length, _)) in enumerate(zip(drawn, places, strict=True)):
        report(called("the rule", task, length))
        styles = STYLES if number in (0, _PROBES) else STYLES[:1]  # of the two shortest lengths
        answer = prove_rule(task.rule, arguments, styles)
        report(called("the reference", task, length))
        prove_answer(task, arguments, answer)
        _prove_wordings(task, arguments)
    report(called("the sampler (instance), asked again for other instances,", task, places[0][0]))
    task.example(places[0][0], "train", 0, "rule-nl")


def called(what: str, task: "Task", length: int) -> str:
    """A part of a task, for ``report``."""
    return f"{what} of task {task.name} at length {length}"


def draw_probe(task: "Task", length: int, number: int, report: Report) -> Arguments:
    """An instance of no split. Raises UserError if it is none: another number of values, values that JSON lacks."""
    report(called("the sampler (instance)", task, length))
    try:
        arguments = task.instance(generator(task, "probe", length, number), length)
    except Exception as error:
        what = f"instance fails at length {length} with {type(error).__name__}: {error}"
        raise UserError(f"{what}; fix it, or take the length out of valid_lengths") from error
    names = task.rule.parameters
    values = f"({', '.join(names)},)" if len(names) == 1 else f"({', '.join(names)})"
    if not isinstance(arguments, tuple):
        kind = type(arguments).__name__
        raise UserError(f"instance returns the {kind} {arguments!r:.100} at length {length}; return a tuple: {values}")
    if len(arguments) != len(names):
        what = f"instance returns {len(arguments)} values at length {length}: {arguments!r:.100}"
        raise UserError(f"{what}; return one for each argument of the rule: {values}")
    for name, value in zip(names, arguments, strict=True):
        if fault := _not_json(value):
            what = f"instance returns {fault} in {name} at length {length}: {value!r:.100}"
            raise UserError(f"{what}; use numbers, texts, True, False, None, lists, and dicts with texts for keys")
    return arguments


def prove_answer(task: "Task", arguments: Arguments, answer: Any) -> str:
    """The rule's ``answer`` as it is printed. Raises UserError if the reference has another, or it can't be judged."""
    try:
        expected = task.reference(*copy_value(arguments))
    except Exception as error:
        what = f"reference fails with {type(error).__name__}: {error} on {arguments!r:.200}"
        raise UserError(f"{what}; let it take the rule's arguments and return the answer") from error
    if repr(answer) != repr(expected):
        what = f"the rule answers {answer!r:.100}, the reference {expected!r:.100} on {arguments!r:.200}"
        raise UserError(f"{what}; fix the one that is wrong")
    try:
        reads_back = repr(ast.literal_eval(repr(answer))) == repr(answer)
    except (ValueError, SyntaxError, RecursionError):
        reads_back = False
    if not reads_back:
        raise UserError(f"the answer {answer!r:.100} on {arguments!r:.200} is not a value that can be read; return one")
    return repr(answer)


def _prove_wordings(task: "Task", arguments: Arguments) -> None:
    given = dict(zip(task.rule.parameters, arguments, strict=True))
    for question in task.questions:
        try:
            question.format(**given)
        except Exception as error:
            what = f"the question {question!r:.100} fails with {type(error).__name__}: {error} on {arguments!r:.100}"
            raise UserError(f"{what}; put a name alone in braces, or with !r behind it") from error


def _not_json(value: Any) -> str:
    """What of ``value`` JSON would give back as something else, in words; empty if nothing."""
    if value is None or type(value) in (bool, int):
        return ""
    if type(value) is float:
        return "" if math.isfinite(value) else "a number that is not finite"
    if type(value) is str:
        return _lone_surrogate(value)
    if type(value) is list:
        return next(filter(None, map(_not_json, value)), "")
    if type(value) is dict:
        keys = next((f"a dict with the key {key!r:.50}" for key in value if type(key) is not str), "")
        return keys or next(filter(None, map(_not_json, [*value, *value.values()])), "")
    return f"a {type(value).__name__}"


def _lone_surrogate(text: str) -> str:
    return "half a character (a lone surrogate)" if any("\ud800" <= letter <= "\udfff" for letter in text) else ""
