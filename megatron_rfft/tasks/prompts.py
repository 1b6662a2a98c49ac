"""Prompt forms: how an instance is put to a model, and what it is expected to write.

===============  ==========================================  =============================================
form             the prompt shows                            the response is
===============  ==========================================  =============================================
``rule``         the rule as code, the question              the trace, reciting lines of code
``lean``         the same                                    a shorter trace: each value once
``rule-blocks``  the rule as code with its loops named in    a trace that recites statements together,
                 comments, the question                      close to the paper's printing
``rule-nl``      the rule as numbered sentences, question    the trace, reciting sentences
``one-shot``     an exemplar in the form ``rule`` with its   the trace, as in ``rule``
                 trace, then as ``rule``
``scratchpad``   the question                                intermediate results, no rule
``direct``       the question                                the answer alone
``cot-zero-shot``  the question, the answer's form           the answer alone (for models that think first)
===============  ==========================================  =============================================

A prompt ends in a newline, so that the response starts on its own line.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import msgspec

from megatron_rfft.rules import ANSWER_PREFIX, Rule
from megatron_rfft.tasks.exemplars import draw_exemplar

if TYPE_CHECKING:
    from megatron_rfft.tasks.instances import Arguments
    from megatron_rfft.tasks.task import AnyTask

Parts = tuple[str, str, str]  # prompt, response, answer
STYLE_OF_FORM = {
    "rule": "full",
    "lean": "lean",
    "rule-blocks": "blocks",
    "rule-nl": "sentences",
    "one-shot": "full",
    "scratchpad": "scratchpad",
}
"""The trace style of each form whose response is a trace."""


class Problem(msgspec.Struct, frozen=True):
    """A question with the rule that answers it, and the rule's arguments."""

    rule: Rule
    arguments: "Arguments"
    question: str


def build_prompt(task: "AnyTask", form: str, problem: Problem, rng: Random) -> Parts:
    """The prompt, response and answer of one example in ``form``, one of FORMS; ``rng`` draws an exemplar."""
    return _BUILDERS[form](task, form, problem, rng)


def _follow_rule(task: "AnyTask", form: str, problem: Problem, rng: Random) -> Parts:
    rule = problem.rule
    written = rule.sentences if form == "rule-nl" else rule.commented if form == "rule-blocks" else rule.source
    prompt = f"Follow the given rule to solve the question.\nrule:\n{written}\n\nQ: {problem.question}\n"
    trace = rule.trace(*problem.arguments, style=STYLE_OF_FORM[form])
    return prompt, trace.text, repr(trace.answer)


def _one_shot(task: "AnyTask", form: str, problem: Problem, rng: Random) -> Parts:
    prompt, response, answer = _follow_rule(task, "rule", problem, rng)
    shown, trace, _ = _follow_rule(task, "rule", draw_exemplar(task, problem, rng), rng)
    before = f"Here is 1 example:\n{shown}{trace}\n\n"
    return f"{before}Follow the above examples to answer the following question:\n{prompt}", response, answer


def _scratchpad(task: "AnyTask", form: str, problem: Problem, rng: Random) -> Parts:
    trace = problem.rule.trace(*problem.arguments, style="scratchpad")
    return f"Q: {problem.question}\n", trace.text, repr(trace.answer)


def _direct(task: "AnyTask", form: str, problem: Problem, rng: Random) -> Parts:
    answer = repr(problem.rule.run(*problem.arguments))
    return f"Q: {problem.question}\n", ANSWER_PREFIX + answer, answer


def _think_first(task: "AnyTask", form: str, problem: Problem, rng: Random) -> Parts:
    _, response, answer = _direct(task, form, problem, rng)
    how = f"Think step by step. Then end with one line `{ANSWER_PREFIX}X`, where X is the answer as a Python literal."
    return f"Q: {problem.question}\n{how}\n", response, answer


_BUILDERS: dict[str, Callable[["AnyTask", str, Problem, Random], Parts]] = {
    "rule": _follow_rule,
    "lean": _follow_rule,
    "rule-blocks": _follow_rule,
    "rule-nl": _follow_rule,
    "one-shot": _one_shot,
    "scratchpad": _scratchpad,
    "direct": _direct,
    "cot-zero-shot": _think_first,
}
FORMS = tuple(_BUILDERS)
