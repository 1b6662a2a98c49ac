"""Problems with random rules: each has a rule of its own, over two lists (the paper's 1-shot arm).

Not a task of the catalogue: no list of tasks names it, and corpora get it by their setting ``synthetic``.
"""

from dataclasses import dataclass
from random import Random

from megatron_rfft.rules import Rule
from megatron_rfft.rules.random_rules import random_arguments, random_source
from megatron_rfft.tasks.instances import generator, instance_key, split_of
from megatron_rfft.tasks.prompts import Problem
from megatron_rfft.tasks.task import AnyTask

SYNTHETIC = "synthetic"
QUESTIONS = (
    "What does the rule return for {arguments}?",
    "Apply the rule to {arguments}. What is the result?",
    "Which value comes out of the rule when it starts from {arguments}?",
)


@dataclass(frozen=True)
class _SyntheticTask(AnyTask):
    name: str = SYNTHETIC
    family: str = SYNTHETIC
    split: str = SYNTHETIC
    version: int = 1
    valid_lengths: range = range(5, 16)  # a shorter list is left after one pass
    file: str = __file__

    def draw(self, split: str, length: int, index: int) -> tuple[Problem, Random]:
        rng = generator(self, split, length, index)
        return _pose(*self._instance(split, length, rng), rng), rng

    def draw_any(self, split: str, length: int, rng: Random) -> Problem:
        return _pose(*self._instance(split, length, rng), rng)

    def instance_key(self, split: str, length: int, index: int) -> bytes:
        return instance_key(self._instance(split, length, generator(self, split, length, index)))

    def _instance(self, split: str, length: int, rng: Random) -> tuple[str, tuple[list[int], list[int]]]:
        """Source and arguments; a rule belongs to a split with its arguments."""
        while True:
            instance = (random_source(rng), random_arguments(rng, length))
            if split_of(self, instance) == split:
                return instance


def _pose(source: str, arguments: tuple[list[int], list[int]], rng: Random) -> Problem:
    rule = Rule(source)
    given = " and ".join(f"{name} = {value}" for name, value in zip(rule.parameters, arguments, strict=True))
    return Problem(rule, arguments, rng.choice(QUESTIONS).format(arguments=given))


SYNTHETIC_TASK = _SyntheticTask()
