"""Problems with random rules: each has a rule of its own, drawn with its arguments.

Not tasks of the catalogue: no list of tasks names them. ``random_lists`` has rules over two lists (the paper's 1-shot
arm), ``random_strings`` over one or two strings.
"""

from abc import abstractmethod
from collections.abc import Collection
from random import Random
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules.assembled import AssembledRule
from megatron_rfft.rules.random_rules import draw_list_rule, random_arguments
from megatron_rfft.rules.renamed import RenamedRule
from megatron_rfft.tasks.instances import Arguments, generator, split_of
from megatron_rfft.tasks.prompts import Problem
from megatron_rfft.tasks.task import AnyTask

RANDOM_LISTS = "random_lists"
RANDOM_NAMES = "random_names"
FAMILY = "random"
LIST_QUESTIONS = (
    "What does the rule return for {arguments}?",
    "Apply the rule to {arguments}. What is the result?",
    "Which value comes out of the rule when it starts from {arguments}?",
)


class RandomTask(AnyTask):
    """Examples that each have a rule of their own; a subclass draws and poses them."""

    family = FAMILY
    role = FAMILY
    version = 1

    def draw(self, split: str, length: int, index: int) -> tuple[Problem, Random]:
        rng = generator(self, split, length, index)
        return self.pose(self.draw_rule(split, length, rng), rng), rng

    def draw_any(self, split: str, length: int, rng: Random) -> Problem:
        return self.pose(self.draw_rule(split, length, rng), rng)

    def look(self, split: str, length: int, index: int) -> tuple[int, None]:
        """The index: that two of them draw the same rule under the same names, with the same arguments, is as good as
        impossible, and to draw all of them for a look would double the time.
        """
        return index, None

    @abstractmethod
    def draw_rule(self, split: str, length: int, rng: Random) -> tuple[Any, Arguments]:
        """A rule with arguments of ``length``, JSON values, that belong to ``split``."""

    @abstractmethod
    def pose(self, drawn: tuple[Any, Arguments], rng: Random) -> Problem:
        """The problem of what ``draw_rule`` has drawn."""


def read_settings(name: str, known: Collection[str]) -> dict[str, float]:
    """The weights behind the plus signs of a task's name. Raises UserError for settings that can't be."""
    settings: dict[str, float] = {}
    for part in name.split("+")[1:]:
        setting, _, weight = part.partition("=")
        if setting not in known:
            raise UserError(f"task {name}: no setting is called {setting!r}; choose from {', '.join(known)}")
        try:
            settings[setting] = float(weight or 1)
        except ValueError:
            settings[setting] = -1
        if not 0 <= settings[setting] < float("inf") or (setting == RANDOM_NAMES and settings[setting] > 1):
            raise UserError(f"task {name}: {part!r} has no weight; write for example {setting}=0.5")
    return settings


class RandomLists(RandomTask):
    """The task called ``random_lists``, or ``random_lists+random_names=0.5``: the share of rules whose names are random
    strings, 0 if it is not given.
    """

    valid_lengths = range(1, 61)
    file = __file__

    def __init__(self, name: str) -> None:
        self.name = name
        self._random_names = read_settings(name, (RANDOM_NAMES,)).get(RANDOM_NAMES, 0.0)

    def draw_rule(self, split: str, length: int, rng: Random) -> tuple[RenamedRule, Arguments]:
        """A rule belongs to a split with its arguments, whatever the names."""
        while True:
            source, names = draw_list_rule(rng, self._random_names)
            arguments = random_arguments(rng, length)
            if split_of(RANDOM_LISTS, (source, arguments)) == split:
                return RenamedRule(AssembledRule(source), names), arguments

    def draw_any(self, split: str, length: int, rng: Random) -> Problem:
        """An exemplar's lists are a little longer than it asks for: of short ones, one pass leaves nothing."""
        return super().draw_any(split, length + 4, rng)

    def pose(self, drawn: tuple[RenamedRule, Arguments], rng: Random) -> Problem:
        rule, arguments = drawn
        given = " and ".join(f"{name} = {value}" for name, value in zip(rule.parameters, arguments, strict=True))
        return Problem(rule, arguments, rng.choice(LIST_QUESTIONS).format(arguments=given))
