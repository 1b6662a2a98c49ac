"""Prompt forms: how an instance is put to a model, and what it is expected to write.

``rule`` and ``lean`` show the rule and expect its trace, in full or lean; ``direct`` shows the question alone and
expects the answer alone. A prompt ends in a newline, so that the response starts on its own line.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from megatron_rfft.rules import ANSWER_PREFIX

if TYPE_CHECKING:
    from megatron_rfft.tasks.instances import Arguments
    from megatron_rfft.tasks.task import Task

Parts = tuple[str, str, str]  # prompt, response, answer


def build_prompt(task: "Task", form: str, question: str, arguments: "Arguments") -> Parts:
    """The prompt, response and answer of one example in ``form``, one of FORMS."""
    return _BUILDERS[form](task, question, arguments)


def _follow_rule(task: "Task", question: str, arguments: "Arguments", style: str) -> Parts:
    prompt = f"Follow the given rule to solve the question.\nrule:\n{task.rule.source}\n\nQ: {question}\n"
    trace = task.rule.trace(*arguments, style=style)
    return prompt, trace.text, repr(trace.answer)


def _rule(task: "Task", question: str, arguments: "Arguments") -> Parts:
    return _follow_rule(task, question, arguments, "full")


def _lean(task: "Task", question: str, arguments: "Arguments") -> Parts:
    return _follow_rule(task, question, arguments, "lean")


def _direct(task: "Task", question: str, arguments: "Arguments") -> Parts:
    answer = repr(task.rule.run(*arguments))
    return f"Q: {question}\n", ANSWER_PREFIX + answer, answer


_BUILDERS: dict[str, Callable[["Task", str, "Arguments"], Parts]] = {"rule": _rule, "lean": _lean, "direct": _direct}
FORMS = tuple(_BUILDERS)
