"""Which random rules are worth asking about: those that have something to teach and give away no held-out task.

A rule is run on a few arguments, the same for all rules of its kind. It is refused

- if its answers there are all one, or depend on the lengths and numbers alone, not on the characters;
- if a test of it always comes out the same way;
- if its answers, all but one, are those of a held-out task, of one of the second held-out set, or of a near twin of
  these, whichever of its arguments that task would be given. A rule that is such a task's under other names, in
  another order or with idle statements between gives the same answers and can't pass.
"""

from functools import cache
from itertools import islice, permutations
from random import Random
from typing import Any

from megatron_rfft.rules import Rule, RuleError
from megatron_rfft.rules.assembled import AssembledRule
from megatron_rfft.rules.random_strings import MARK, NUMBER, A, B, StringRule
from megatron_rfft.rules.string_snippets import ALPHABETS
from megatron_rfft.tasks.held_out import CROSS_DOMAIN, HELD_OUT, NEAR_TWINS
from megatron_rfft.tasks.instances import Arguments

# The lengths of the strings tried, and a number: those of a group differ in their characters alone.
_LENGTHS = ((3, 3, 2), (3, 3, 2), (4, 4, 3), (4, 4, 3), (8, 8, 7), (4, 5, 1), (3, 2, 1))
_GROUPS = (slice(0, 2), slice(2, 4))
_IN_GROUPS = 4
_EQUAL = slice(0, 5)  # strings of one length: there, too, no rule may give a held-out task's answers
_PASSES = 200  # through the loops of a task kept apart; none needs more
_SAME_AT_MOST = 5  # answers that are one and the same

Answers = tuple[str, ...]


def is_worth_asking(drawn: StringRule, rule: AssembledRule) -> bool:
    """Whether the rule depends on its input, has no idle test, and is none of the tasks kept apart."""
    trial, starts = rule.trial(), _starts(drawn.alphabet, drawn.parameters)
    answers = tuple(_shown(trial.answer(start)) for start in starts[:_IN_GROUPS])
    if all(len(set(answers[group])) == 1 for group in _GROUPS):  # so that a third of the bad ones is tried no further
        return False
    answers += tuple(_shown(trial.answer(start)) for start in starts[_IN_GROUPS:])
    if max(map(answers.count, answers)) > _SAME_AT_MOST or not trial.came_out_both_ways:
        return False
    refused = _refused(drawn.alphabet, drawn.parameters)
    return not any(pattern in refused for pattern in _patterns(answers[_EQUAL]))


@cache
def probes(alphabet: str, parameters: tuple[str, ...]) -> tuple[Arguments, ...]:
    """What rules with these parameters are tried on: all characters come in, second strings agree here and there."""
    rng = Random(alphabet)
    characters = ALPHABETS[alphabet][1]
    dealt = iter("".join("".join(rng.sample(characters, len(characters))) for _ in range(40)))
    found = []
    for length, other, number in _LENGTHS:
        text = "".join(islice(dealt, length))
        second = "".join(islice(dealt, other))
        second = "".join(a if rng.random() < 0.4 else b for a, b in zip(text, second, strict=False)) + second[length:]
        second = (text[0] + second[1:])[:-1] + text[-1] if rng.random() < 0.5 else second
        given = {A: text, B: second, MARK: text[rng.randrange(length)], NUMBER: number}
        found.append(tuple(given[name] for name in parameters))
    return tuple(found)


@cache
def _starts(alphabet: str, parameters: tuple[str, ...]) -> tuple[list[Any], ...]:
    rule = AssembledRule(f"def f({', '.join(parameters)}):\n    return {parameters[0]}")
    return tuple(map(rule.state_of, probes(alphabet, parameters)))


@cache
def _refused(alphabet: str, parameters: tuple[str, ...]) -> frozenset[Answers]:
    """The answers of the tasks kept apart to ``probes``, for each way to give them some of the arguments."""
    found = set()
    for rule in _kept_apart():
        for places in permutations(range(len(parameters)), min(len(parameters), len(rule.parameters))):
            try:
                given = ([arguments[i] for i in places] for arguments in probes(alphabet, parameters))
                answers = [rule.trace(*arguments, style="scratchpad").answer for arguments in given]
            except RuleError:  # a task about something else
                continue
            found.update(_patterns(tuple(map(_shown, answers[_EQUAL]))))
    return frozenset(found)


@cache
def _kept_apart() -> tuple[Rule, ...]:
    """The rules of the tasks kept apart; on other input than its own a rule may run for long."""
    from megatron_rfft.tasks.registry import load_task  # which knows random rules, and so imports this module

    names = (*HELD_OUT, *CROSS_DOMAIN, *NEAR_TWINS)
    return tuple(Rule(load_task(name).rule.source, step_limit=_PASSES) for name in names)


def _patterns(answers: Answers) -> list[Answers]:
    """The answers, and the answers without one of them: a rule that differs in one of them is a lookalike, too.

    Of yes and no there is too little in four to tell anything.
    """
    if set(answers) <= {"True", "False"}:
        return [answers]
    return [answers, *((*answers[:place], "", *answers[place + 1 :]) for place in range(len(answers)))]


def _shown(answer: Any) -> str:
    """An answer as it is compared: ``7`` and ``'7'`` are the same."""
    return str(answer)
