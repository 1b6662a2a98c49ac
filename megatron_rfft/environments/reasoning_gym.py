"""The tasks as a data set of reasoning-gym: importing this module registers ``rule_following``.

>>> import megatron_rfft.environments.reasoning_gym
>>> import reasoning_gym
>>> data = reasoning_gym.create_dataset("rule_following", tasks="coin_flip", max_length=4, seed=1, size=3)
>>> data.score_answer(data[0]["answer"], data[0])
1.0

Its curriculum has one axis, the length.
"""

from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import parse_tasks
from megatron_rfft.corpus.layouts import PLACE
from megatron_rfft.environments.rewards import blend, example_of, outcome_reward, step_reward
from megatron_rfft.rules import ANSWER_PREFIX
from megatron_rfft.tasks import FORMS, SPLITS, Example, NoInstanceError, load_task

try:
    from reasoning_gym.coaching import BaseCurriculum, RangeAttributeDefinition
    from reasoning_gym.factory import ProceduralDataset, register_dataset
except ImportError as error:
    raise UserError(f"reasoning-gym does not load ({error}); install it: pip install -e .[reasoning-gym]") from error

NAME = "rule_following"
LEVELS = (1, 5, 10, 15, 20, 25, 30)  # paper, section 4: trained on lengths 1 to 5, asked up to 30
_MANY = 2**31  # indices that are drawn from; of a short length there are fewer instances


@dataclass
class RuleFollowingConfig:
    """Which questions: an item is drawn from the instances of any of the tasks and lengths."""

    tasks: str = "pretrain"
    """Names and groups, as the commands take them: ``coin_flip,length_int``, ``pretrain``, ``held-out/code``."""
    min_length: int = 1
    max_length: int = 5
    """Lengths that a task does not have are left out; ``coin_flip:1-4`` gives a task lengths of its own."""
    form: str = "rule"
    split: str = "train"
    """Of instances: train to train, test to evaluate. They share no question."""
    step_weight: float = 0.0
    """The share of the score that is the share of right steps; the rest is the outcome."""
    seed: int | None = None
    size: int = 500

    def validate(self) -> None:
        """Raises UserError for a value outside its choices."""
        for value, choices, what in ((self.split, SPLITS, "split"), (self.form, FORMS, "form")):
            if value not in choices:
                raise UserError(f"{what} {value!r} is unknown; choose one of {', '.join(choices)}")
        if not 1 <= self.min_length <= self.max_length:
            raise UserError(f"lengths are {self.min_length} to {self.max_length}; give 1 <= min_length <= max_length")
        if self.size < 1:
            raise UserError(f"size is {self.size}; ask for at least 1")
        blend(0.0, 0.0, self.step_weight)

    def cells(self) -> list[tuple[str, int]]:
        """Each task with each of its lengths that has questions. Raises UserError where there is none."""
        chosen = parse_tasks(self.tasks, f"{self.min_length}-{self.max_length}")
        found = [(task, length) for task, lengths in chosen.items() for length in lengths]
        if asked := [cell for cell in found if self._has_questions(*cell)]:
            return asked
        where = f"a {self.split} question of lengths {self.min_length} to {self.max_length}"
        raise UserError(f"no task of {self.tasks!r} has {where}; give others")

    def _has_questions(self, task: str, length: int) -> bool:
        try:
            return bool(load_task(task).example(length, self.split, 0, self.form))
        except NoInstanceError:
            return False


class RuleFollowingDataset(ProceduralDataset):
    """Questions with their rules; an item is a pure function of the config and ``idx``."""

    def __init__(self, config: RuleFollowingConfig) -> None:
        super().__init__(config=config, seed=config.seed, size=config.size)
        self.cells = config.cells()

    def __getitem__(self, idx: int) -> dict[str, Any]:
        # Never seed + idx: two seeds would then share most of their items.
        rng = Random(f"{NAME}-{self.seed}-{idx}")
        task, length = rng.choice(self.cells)
        example = _draw(task, length, self.config.split, self.config.form, rng.randrange(_MANY))
        return {
            "question": example.prompt,
            "answer": example.response,
            "metadata": {
                "source_dataset": NAME,
                "source_index": idx,
                **{name: getattr(example, name) for name in PLACE},
                "value": example.answer,
                "difficulty": {"length": (self.config.min_length, self.config.max_length)},
            },
        }

    def score_answer(self, answer: str | None, entry: dict[str, Any]) -> float:
        """What the whole answer is worth, or the value alone, which is what trainers of reasoning-gym cut out."""
        if not isinstance(answer, str):
            return 0.0
        text = answer if "\n" in answer.strip() or ANSWER_PREFIX in answer else ANSWER_PREFIX + answer.strip()
        outcome = outcome_reward(text, entry["metadata"]["value"])
        weight = self.config.step_weight
        return blend(outcome, step_reward(example_of(entry["metadata"]), text) if weight else 0.0, weight)


class RuleFollowingCurriculum(BaseCurriculum):
    """Longer questions, level by level."""

    def __init__(self) -> None:
        super().__init__(RuleFollowingCurriculum.__name__, RuleFollowingConfig)
        self._define_attributes(
            RangeAttributeDefinition(
                name="length",
                levels=list(LEVELS),
                ensure_interval=True,  # level 0 is 1 to 5, level 1 is 1 to 10
                description="Length of the question: digits, words, people, ...",
                lower_field_name="min_length",
                upper_field_name="max_length",
            )
        )


def _draw(task: str, length: int, split: str, form: str, number: int) -> Example:
    """The example at the index ``number``; of a length with few instances, one of those that there are."""
    return load_task(task).example(length, split, number % _num_instances(task, length, split), form)


@cache
def _num_instances(task: str, length: int, split: str) -> int:
    """How many instances there are, _MANY standing for all numbers above."""

    def is_beyond(index: int) -> bool:
        try:
            load_task(task).look(split, length, index)
        except NoInstanceError:
            return True
        return False

    return bisect_left(range(_MANY), True, key=is_beyond)


register_dataset(NAME, RuleFollowingDataset, RuleFollowingConfig, RuleFollowingCurriculum)
