"""Random rules over strings as a task: ``random_strings``, with settings behind plus signs where wanted.

``random_strings+digits+scan=3+pair=1`` has digits only, and three times as many rules of one string as of two. A
setting is a name and its weight, 1 if none is given. Of the alphabets, those that are named are drawn, and so with the
shapes; where none is named, the weights are those of WEIGHTS. ``random_names=0.1`` is the share of rules whose names
are random strings.
"""

from collections.abc import Sequence
from random import Random

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules.assembled import AssembledRule
from megatron_rfft.rules.names import draw_names
from megatron_rfft.rules.random_strings import SHAPES, StringRule, draw_string_rule
from megatron_rfft.rules.renamed import RenamedRule
from megatron_rfft.rules.string_arguments import draw_arguments
from megatron_rfft.rules.string_snippets import ALPHABETS
from megatron_rfft.tasks.instances import Arguments, split_of
from megatron_rfft.tasks.lookalikes import is_worth_asking
from megatron_rfft.tasks.prompts import Problem
from megatron_rfft.tasks.random_tasks import RandomTask, read_settings
from megatron_rfft.tasks.string_questions import ask

RANDOM_STRINGS = "random_strings"
WEIGHTS = {"digits": 6.0, "bits": 2.0, "letters": 2.0, "scan": 5.0, "count": 3.0, "pair": 2.0, "random_names": 0.25}
_MOST_DRAWS = 20  # of arguments for a rule


class RandomStrings(RandomTask):
    """The task called ``random_strings``, with these settings: name -> weight."""

    version = 2
    valid_lengths = range(1, 61)
    file = __file__

    def __init__(self, name: str, settings: dict[str, float]) -> None:
        self.name = name
        self._alphabets = _weighted(ALPHABETS, settings)
        self._shapes = _weighted(SHAPES, settings)
        self._random_names = settings.get("random_names", WEIGHTS["random_names"])

    def draw_rule(self, split: str, length: int, rng: Random) -> tuple[RenamedRule, Arguments]:
        """The rule and the arguments; whatever the names, a rule belongs to a split with these."""
        while True:
            drawn = draw_string_rule(rng, _choose(rng, self._alphabets), _choose(rng, self._shapes))
            rule = AssembledRule(drawn.source)
            if not is_worth_asking(drawn, rule):
                continue
            if (arguments := _of_split(rng, drawn, length, split)) is not None:
                break
        return RenamedRule(rule, draw_names(rng, drawn, rng.random() < self._random_names)), arguments

    def pose(self, drawn: tuple[RenamedRule, Arguments], rng: Random) -> Problem:
        rule, arguments = drawn
        return Problem(rule, arguments, ask(rng, rule.name, rule.parameters, arguments))


def random_strings(name: str) -> RandomStrings:
    """The task of this name: ``random_strings``, or with settings. Raises UserError for settings that can't be."""
    return RandomStrings(name, read_settings(name, WEIGHTS))


def _of_split(rng: Random, rule: StringRule, length: int, split: str) -> Arguments | None:
    """Arguments of ``length`` that belong to the split with the rule; None if few do, as with a single bit."""
    for _ in range(_MOST_DRAWS):
        arguments = draw_arguments(rng, rule, length)
        if split_of(RANDOM_STRINGS, (rule.source, arguments)) == split:
            return arguments
    return None


def _weighted(choices: Sequence[str], settings: dict[str, float]) -> tuple[tuple[str, float], ...]:
    """Each choice with the sum of the weights up to it, the last 1."""
    given = {name: settings[name] for name in choices if name in settings}
    weights = given or {name: WEIGHTS[name] for name in choices}
    total = sum(weights.values())
    if not total:
        raise UserError(f"the weights of {', '.join(weights)} are all 0; give one of them more")
    reached, summed = [], 0.0
    for name, weight in weights.items():
        summed += weight / total
        if weight:
            reached.append((name, summed))
    return tuple(reached)


def _choose(rng: Random, weighted: tuple[tuple[str, float], ...]) -> str:
    drawn = rng.random()
    for name, reached in weighted:
        if drawn < reached:
            return name
    return weighted[-1][0]
