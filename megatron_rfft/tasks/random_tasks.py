"""Problems with random rules: each has a rule of its own, drawn with its arguments.

Not tasks of the catalogue: no list of tasks names them. ``random_lists`` has rules over two lists (the paper's 1-shot
arm), ``random_strings`` over one or two strings.
"""

from abc import abstractmethod
from random import Random
from typing import Any

from megatron_rfft.rules import Rule
from megatron_rfft.rules.random_rules import random_arguments, random_source
from megatron_rfft.tasks.instances import Arguments, generator, split_of
from megatron_rfft.tasks.prompts import Problem
from megatron_rfft.tasks.task import AnyTask

RANDOM_LISTS = "random_lists"
FAMILY = "random"
LIST_QUESTIONS = (
    "What does the rule return for {arguments}?",
    "Apply the rule to {arguments}. What is the result?",
    "Which value comes out of the rule when it starts from {arguments}?",
)


class RandomTask(AnyTask):
    """Examples that each have a rule of their own; a subclass draws and poses them."""

    family = FAMILY
    split = FAMILY
    version = 1

    def draw(self, split: str, length: int, index: int) -> tuple[Problem, Random]:
        rng = generator(self, split, length, index)
        return self.pose(self.draw_rule(split, length, rng), rng), rng

    def draw_any(self, split: str, length: int, rng: Random) -> Problem:
        return self.pose(self.draw_rule(split, length, rng), rng)

    def instance_key(self, split: str, length: int, index: int) -> bytes:
        """The index: that two of them draw the same rule under the same names, with the same arguments, is as good as
        impossible, and to draw all of them for a look would double the time.
        """
        return f"{split}|{length}|{index}".encode()

    @abstractmethod
    def draw_rule(self, split: str, length: int, rng: Random) -> tuple[Any, Arguments]:
        """A rule with arguments of ``length``, JSON values, that belong to ``split``."""

    @abstractmethod
    def pose(self, drawn: tuple[Any, Arguments], rng: Random) -> Problem:
        """The problem of what ``draw_rule`` has drawn."""


class _RandomLists(RandomTask):
    name = RANDOM_LISTS
    valid_lengths = range(5, 61)  # a shorter list is left after one pass
    file = __file__

    def draw_rule(self, split: str, length: int, rng: Random) -> tuple[str, Arguments]:
        """Source and arguments; a rule belongs to a split with its arguments."""
        while True:
            drawn = (random_source(rng), random_arguments(rng, length))
            if split_of(self.name, drawn) == split:
                return drawn

    def pose(self, drawn: tuple[str, Arguments], rng: Random) -> Problem:
        source, arguments = drawn
        rule = Rule(source)
        given = " and ".join(f"{name} = {value}" for name, value in zip(rule.parameters, arguments, strict=True))
        return Problem(rule, arguments, rng.choice(LIST_QUESTIONS).format(arguments=given))


RANDOM_LISTS_TASK = _RandomLists()
