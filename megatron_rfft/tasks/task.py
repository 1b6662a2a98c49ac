"""A task: a rule with a sampler of instances, question wordings and an independent reference solution."""

import marshal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import Rule
from megatron_rfft.tasks.answers import check_answer
from megatron_rfft.tasks.instances import SPLITS, Arguments, draw_from_split, draw_instance
from megatron_rfft.tasks.prompts import FORMS, Problem, build_prompt

Sampler = Callable[[Random, int], Arguments]


class Example(msgspec.Struct, frozen=True, gc=False):
    """One question of a task in one prompt form. ``answer`` is what follows ``So the answer is`` in the response."""

    id: str
    task: str
    version: int
    split: str
    length: int
    index: int
    form: str
    prompt: str
    response: str
    answer: str
    arguments: Arguments

    def record(self) -> dict[str, Any]:
        """The example as a corpus record: JSON values, the fields in their order here.

        msgspec writes the example itself as the same JSON, faster.
        """
        return msgspec.structs.asdict(self) | {"arguments": list(self.arguments)}


class AnyTask(ABC):
    """What every task can do: give examples by (split, length, index) and judge answers."""

    name: str
    family: str
    role: str
    version: int
    valid_lengths: Sequence[int]
    file: str

    @property
    def seed_name(self) -> str:
        """The name that draws the instances: a task that gets another one keeps its examples."""
        return self.name

    @abstractmethod
    def draw(self, split: str, length: int, index: int) -> tuple[Problem, Random]:
        """The problem at ``index``, and the generator for what else the example has to choose.

        Raises NoInstanceError where there are no more instances of a short length.
        """

    @abstractmethod
    def draw_any(self, split: str, length: int, rng: Random) -> Problem:
        """A problem of ``split`` that ``rng`` draws, for an exemplar."""

    @abstractmethod
    def look(self, split: str, length: int, index: int) -> tuple[int, bytes | None]:
        """A number, the same for two indices of a length that give the same problem, and what ``example`` takes as
        ``kept`` to spare the second draw, if there is such. Raises NoInstanceError as ``draw`` does.
        """

    def draw_kept(self, kept: bytes, split: str, length: int, index: int) -> Problem:
        """The problem of ``draw`` from what ``look`` gave for it."""
        raise NotImplementedError  # of a task that keeps nothing

    def example(
        self, length: int, split: str = "test", index: int = 0, form: str = "rule", kept: bytes | None = None
    ) -> Example:
        """The example at ``index``: the same arguments and wording in every form.

        ``length`` counts what the task's file says (digits, words, people, ...), ``split`` is one of SPLITS and
        ``form`` one of FORMS. ``kept`` is what ``look`` gave in this program. Raises UserError for other values,
        NoInstanceError where there are no more instances of a short length.
        """
        self._check_choice(length, split, index, form)
        if kept is None or form == "one-shot":  # which goes on drawing
            problem, rng = self.draw(split, length, index)
        else:
            problem, rng = self.draw_kept(kept, split, length, index), None
        prompt, response, answer = build_prompt(self, form, problem, rng)
        name = f"{self.name}-v{self.version}-{split}-{length}-{index}-{form}"
        where = (self.name, self.version, split, length, index, form)
        return Example(name, *where, prompt, response, answer, problem.arguments)

    def check(self, text: str, answer: str) -> bool:
        """Whether a model's output ``text`` ends in the right answer, strictly; see ``answers.check_answer``.

        What a reasoning model thinks before ``</think>`` is not looked at.
        """
        return check_answer(text, answer)

    def _check_choice(self, length: int, split: str, index: int, form: str) -> None:
        if length not in self.valid_lengths:
            valid = describe_lengths(self.valid_lengths)
            raise UserError(f"task {self.name} has no length {length!r}; its valid_lengths are {valid}")
        if split not in SPLITS:
            raise UserError(f"split {split!r} is unknown; choose one of {', '.join(SPLITS)}")
        if form not in FORMS:
            raise UserError(f"form {form!r} is unknown; choose one of {', '.join(FORMS)}")
        if index < 0:
            raise UserError(f"index {index} is negative; count from 0")


@dataclass(frozen=True)
class Task(AnyTask):
    """What a task file registers; ``megatron_rfft.tasks.registry.register`` describes the fields."""

    name: str
    source: str
    family: str
    role: str
    version: int
    valid_lengths: Sequence[int]
    rule: Rule
    instance: Sampler
    questions: tuple[str, ...]
    reference: Callable[..., Any]
    file: str
    grows: bool = False
    """Whether no length has few instances that is longer than one with many: then not every length is looked at."""
    few_instances: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)  # kept by tasks.instances

    @property
    def seed_name(self) -> str:
        return self.rule.name

    def draw(self, split: str, length: int, index: int) -> tuple[Problem, Random]:
        arguments, rng, _ = draw_instance(self, split, length, index)
        return self._pose(arguments, rng.choice(self.questions)), rng

    def draw_any(self, split: str, length: int, rng: Random) -> Problem:
        arguments = draw_from_split(self, split, length, rng)
        return self._pose(arguments, rng.choice(self.questions))

    def look(self, split: str, length: int, index: int) -> tuple[int, bytes]:
        arguments, rng, number = draw_instance(self, split, length, index)
        return number, marshal.dumps((arguments, rng.choice(range(len(self.questions)))))

    def draw_kept(self, kept: bytes, split: str, length: int, index: int) -> Problem:
        arguments, wording = marshal.loads(kept)  # written by this program: it is as fast as it gets
        return self._pose(arguments, self.questions[wording])

    def _pose(self, arguments: Arguments, wording: str) -> Problem:
        question = wording.format_map(dict(zip(self.rule.parameters, arguments, strict=True)))
        return Problem(self.rule, arguments, question)


def describe_lengths(lengths: Sequence[int]) -> str:
    """Lengths as people write them: ``1-60``, or ``2, 4, 6`` where there are gaps."""
    if list(lengths) == list(range(lengths[0], lengths[-1] + 1)):
        return f"{lengths[0]}-{lengths[-1]}"
    return ", ".join(map(str, lengths))
