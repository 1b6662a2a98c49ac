"""The tasks as a taskset of verifiers 0.4: ``examples/rl/rule_following.py`` makes it known to ``vf-eval``.

A question is answered in one turn, without tools: a shell would be a way around following the rule.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import parse_tasks
from megatron_rfft.corpus.layouts import PLACE
from megatron_rfft.environments.rewards import example_of, outcome_reward, step_reward
from megatron_rfft.evaluation.questions import draw_cells
from megatron_rfft.tasks import FORMS, SPLITS, Example, load_task

try:
    import verifiers.v1 as vf
    from verifiers.v1.harnesses.null import NullHarnessConfig
except ImportError as error:
    raise UserError(f"verifiers does not load ({error}); install it: pip install -e .[verifiers]") from error


class RuleFollowingConfig(vf.TasksetConfig):
    """Which questions, under ``--env.taskset.*``."""

    tasks: str = "length_int,coin_flip"
    """Names and groups, with lengths of their own if wanted: ``coin_flip:1-4,length_int``, ``held-out/code``."""
    lengths: str = "1-5"
    """Lengths of the tasks given without; those that a task does not have are left out."""
    samples: int = 100
    """Distinct questions of each task and length."""
    form: Literal[FORMS] = "rule"
    split: Literal[SPLITS] = "train"
    """Of instances: train to train, test to evaluate. They share no question."""


class RuleFollowingData(vf.TaskData):
    """One question."""

    answer: str
    """The answer's Python literal."""
    place: Mapping[str, Any]
    """What names the example: from it the true trace is made again."""


class RuleFollowingTask(vf.Task[RuleFollowingData]):
    """The outcome is the reward. Steps count with ``--env.taskset.task.rewards.steps.weight 0.5``."""

    @property
    def key(self) -> str:
        return self.data.id

    @vf.reward(weight=1.0)
    async def outcome(self, trace: vf.Trace) -> float:
        """1.0 for a right answer, else 0.0."""
        return outcome_reward(trace.last_reply, self.data.answer)

    @vf.reward(weight=0.0)
    async def steps(self, trace: vf.Trace) -> float:
        """The share of the true trace before the first wrong line."""
        return step_reward(example_of(self.data.place), trace.last_reply)

    async def validate(self, runtime: vf.Runtime) -> bool:
        """Whether the true trace gets the full reward: for ``vf-validate``."""
        example = example_of(self.data.place)
        return outcome_reward(example.response, self.data.answer) == step_reward(example, example.response) == 1.0


class RuleFollowingTaskset(vf.Taskset[RuleFollowingTask, RuleFollowingConfig]):
    """The first distinct questions of each task and length, task by task."""

    def load(self) -> Iterator[RuleFollowingTask]:
        """Raises UserError for tasks or lengths that do not exist."""
        config = self.config
        for name, lengths in parse_tasks(config.tasks, config.lengths).items():
            if not lengths:
                continue  # of a group, without any of these lengths
            cells = draw_cells(load_task(name), list(lengths), config.samples, config.split, config.form)
            for examples in cells.values():
                yield from (RuleFollowingTask(_data(example), config.task) for example in examples)


class RuleFollowingEnvConfig(vf.EnvConfig):
    """One seat, without tools, on this machine."""

    agent: vf.AgentConfig = vf.AgentConfig(
        harness=NullHarnessConfig(id="null"), runtime=vf.SubprocessConfig(), max_turns=1
    )


class RuleFollowingEnv(vf.Env[RuleFollowingEnvConfig]):
    """One answer to one question."""

    async def run(self, task: vf.Task, agents: vf.Agents) -> None:
        await agents.agent.run(task)


def _data(example: Example) -> RuleFollowingData:
    return RuleFollowingData(
        id=example.id,
        name=f"{example.task}/{example.length}",
        prompt=example.prompt,
        answer=example.answer,
        place={name: getattr(example, name) for name in PLACE},
    )
