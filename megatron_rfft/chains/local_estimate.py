"""How long the rest of a chain takes on one machine, from what has been seen of it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from megatron_rfft.chains.machine import TRAINING, Ending, Free, Key, Machine, Share, choose
from megatron_rfft.chains.stage import Stage, Task
from megatron_rfft.chains.watch import tail_of, training_progress

_BAR = re.compile(r"(\d+)%\|[^\r\n]*<(?:(\d+):)?(\d+):(\d\d)")
"""The last state of a tqdm bar: per cent, and the time that it says is left."""


@dataclass(frozen=True)
class Left:
    """Seconds that are left, at least; of some tasks nothing is known if it is not ``complete``."""

    seconds: float
    complete: bool


@dataclass(frozen=True)
class Seen:
    """What a running task says of itself."""

    text: str
    seconds_left: float | None


def look_at(task: Task, log: Path) -> Seen:
    """How far a running task is: its training's last numbers, else the last progress bar in its log."""
    if task.run is not None:
        if (run := training_progress(task.run, task.run)) is None:
            return Seen("starts", None)
        left = max(0.0, run.seconds_left)
        return Seen(f"step {run.step} of {run.steps}, loss {run.loss:.4f}, {clock(left)} left", left)
    bars = _BAR.findall(tail_of(log, 4096)) if log.is_file() else []
    if not bars:
        return Seen("", None)
    percent, hours, minutes, seconds = bars[-1]
    left = float(int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds))
    return Seen(f"{percent} %, {clock(left)} left", left)


class Estimate:
    """Of the seconds that tasks take, by those that have ended (``seconds``: of each stage, by the tasks' names)."""

    def __init__(self, stages: Sequence[Stage], seconds: Mapping[str, Mapping[str, float]]):
        self.stages = {stage.name: stage for stage in stages}
        self.seconds = seconds
        self.under_way: Mapping[Key, float] = {}
        """Of trainings that run: the seconds of each from its start, by what it says is left."""

    def of(self, key: Key) -> float | None:
        """Seconds of a task from its start; None if nothing like it has ended."""
        stage, number = key
        task, ended = self.stages[stage].tasks[number], self.seconds.get(stage, {})
        if task.name in ended:
            return ended[task.name]
        if stage in TRAINING:
            return self._training(task)
        return sum(ended.values()) / len(ended) if ended else None

    def _training(self, task: Task) -> float | None:
        """By the tokens of those trainings that have ended or run, whatever their stage."""
        known = [(self.stages[stage].tasks[number].tokens, whole) for (stage, number), whole in self.under_way.items()]
        known += [
            (other.tokens, self.seconds[stage][other.name])
            for stage in self.seconds.keys() & self.stages.keys() & set(TRAINING)
            for other in self.stages[stage].tasks
            if other.name in self.seconds[stage]
        ]
        tokens = sum(count for count, _ in known)
        return sum(seconds for _, seconds in known) * task.tokens / tokens if tokens else None

    def left(
        self,
        machine: Machine,
        share: Callable[[str], Share],
        running: Mapping[Key, tuple[float, list[str]]],
        waiting: Sequence[Key],
    ) -> Left:
        """Until everything is finished: the tasks that run (seconds left, GPUs) and those that wait, in their order."""
        free, now, complete = Free(machine), 0.0, True
        ends = {}
        for key, (seconds, gpus) in running.items():
            free.take(share(key[0]), gpus)
            ends[key] = (seconds, gpus)
        todo = list(waiting)
        while ends or todo:
            open_tasks = {*ends, *todo}
            ready = [key for key in todo if not open_tasks.intersection(needs_of(self.stages, key))]
            endings = [Ending(end - now, share(own[0]), taken) for own, (end, taken) in ends.items()]
            for key, gpus in choose(ready, free, share, lambda known=endings: known, self.of):
                seconds = self.of(key)
                complete &= seconds is not None
                ends[key] = (now + (seconds or 0.0), gpus)
                todo.remove(key)
            if not ends:
                break  # what is left waits for a task that failed
            key = min(ends, key=lambda each: ends[each][0])
            now, gpus = max(now, ends[key][0]), ends.pop(key)[1]
            free.give_back(share(key[0]), gpus)
        return Left(now, complete)


def needs_of(stages: Mapping[str, Stage], key: Key) -> list[Key]:
    """The tasks that a task needs."""
    needs = stages[key[0]].tasks[key[1]].needs
    return [(stage, number) for stage, numbers in needs.items() for number in numbers]


def clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
