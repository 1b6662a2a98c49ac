"""The cores and GPUs of one machine, and which tasks of a chain they run at the same time."""

import math
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from megatron_rfft.chains.config import ChainConfig
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.processes import usable_cores

TRAINING = ("pretrain", "adapt")
ASKING = ("evaluate", "general")
Key = tuple[str, int]
"""A task: its stage, its number there."""


@dataclass(frozen=True)
class Share:
    """What a task takes of a machine."""

    cores: int
    gpus: int = 0
    alone: bool = False
    """It shares its GPUs with no other task."""


class Machine:
    """``cores``, and ``gpus`` by their names, each of which ``tasks_per_gpu`` tasks may use at a time."""

    def __init__(self, cores: int, gpus: Sequence[str] = (), tasks_per_gpu: int = 1):
        self.cores, self.gpus, self.tasks_per_gpu = cores, list(gpus), tasks_per_gpu

    @classmethod
    def of(cls, config: ChainConfig) -> "Machine":
        """This machine, as far as the section ``local`` lets it be used. Raises UserError if it has fewer GPUs."""
        local, seen = config.local, visible_gpus()
        if local.gpus is not None and local.gpus > len(seen):
            raise UserError(f"local.gpus is {local.gpus}, and {len(seen)} are visible; lower it, or leave it out")
        gpus = seen if local.gpus is None else seen[: local.gpus]
        return cls(local.cores or usable_cores(), gpus, local.tasks_per_gpu)

    def share(self, config: ChainConfig, stage: str) -> Share:
        """What a task of ``stage`` takes. Raises UserError if the machine can't give it."""
        count = config.local.stages.get(stage, 1)
        cores = min(count, self.cores)
        if self.gpus and stage in TRAINING:
            return Share(cores, min(count, len(self.gpus)))
        if self.gpus and stage in ASKING:
            gpus = config.evaluate.tensor_parallel * (config.evaluate.replicas if stage == "evaluate" else 1)
            if gpus > len(self.gpus):
                raise UserError(
                    f"evaluate.tensor_parallel x evaluate.replicas is {gpus}, and {len(self.gpus)} GPUs are there; "
                    "lower them"
                )
            return Share(cores, gpus, alone=config.evaluate.engine != "hf")  # vLLM takes nearly all memory
        return Share(cores)


class Free:
    """What is left of a machine beside the tasks that run."""

    def __init__(self, machine: Machine):
        self.machine, self.cores = machine, machine.cores
        self.used: Counter[str] = Counter()
        """Tasks on each GPU; one that is alone counts as all that there could be."""

    def find(self, share: Share) -> list[str] | None:
        """GPUs for a task (those with the fewest tasks); None if there is no room for it."""
        room = self.machine.tasks_per_gpu - self._weight(share)
        open_gpus = [gpu for gpu in self._emptiest() if self.used[gpu] <= room]
        fits = share.cores <= self.cores and share.gpus <= len(open_gpus)
        return open_gpus[: share.gpus] if fits else None

    def take(self, share: Share, gpus: Iterable[str]) -> None:
        """A task begins."""
        self.cores -= share.cores
        for gpu in gpus:
            self.used[gpu] += self._weight(share)

    def give_back(self, share: Share, gpus: Iterable[str]) -> None:
        """A task has ended."""
        self.cores += share.cores
        for gpu in gpus:
            self.used[gpu] -= self._weight(share)

    def reserve(self, share: Share) -> None:
        """Keep room for a task that waits for more of it, so that smaller ones don't get before it for ever."""
        self.take(share, self._emptiest()[: share.gpus])

    def _emptiest(self) -> list[str]:
        return sorted(self.machine.gpus, key=lambda gpu: self.used[gpu])

    def _weight(self, share: Share) -> int:
        return self.machine.tasks_per_gpu if share.alone else 1

    def copy(self) -> "Free":
        """The same, to try things on."""
        other = Free(self.machine)
        other.cores, other.used = self.cores, self.used.copy()
        return other


@dataclass(frozen=True)
class Ending:
    """When a task that runs gives back its share."""

    seconds: float | None
    """From now on; None if nobody knows."""
    share: Share
    gpus: Sequence[str]


def choose(
    ready: Sequence[Key],
    free: Free,
    share: Callable[[str], Share],
    endings: Callable[[], Sequence[Ending]] = list,
    seconds: Callable[[Key], float | None] = lambda key: None,
) -> list[tuple[Key, list[str]]]:
    """The tasks of ``ready``, the most urgent first, that begin now, with their GPUs; what they take is taken.

    A task that waits for room is passed only by such as will have ended when the room is there (EASY backfilling),
    by ``endings`` of what runs and the ``seconds`` that a task takes."""
    room, chosen, begun, gap = free.copy(), [], [], math.inf
    for key in ready:
        wanted, takes = share(key[0]), seconds(key)
        gpus = room.find(wanted)
        if gpus is None and takes is not None and takes <= gap:
            gpus = free.find(wanted)
        if gpus is None:
            gap = min(gap, _seconds_until(wanted, free, [*endings(), *begun]))
            room.reserve(wanted)
            continue
        for each in (room, free):
            each.take(wanted, gpus)
        chosen.append((key, gpus))
        begun.append(Ending(takes, wanted, gpus))
    return chosen


def _seconds_until(wanted: Share, free: Free, endings: Sequence[Ending]) -> float:
    """When there is room for a task; 0 if that is not known."""
    if any(ending.seconds is None for ending in endings):
        return 0.0
    later = free.copy()
    for ending in sorted(endings, key=lambda ending: ending.seconds):
        later.give_back(ending.share, ending.gpus)
        if later.find(wanted) is not None:
            return ending.seconds
    return 0.0


def visible_gpus() -> list[str]:
    """Names of the GPUs, as CUDA_VISIBLE_DEVICES wants them."""
    if (listed := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in listed.split(",") if name]
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60)
    return [str(number) for number, _ in enumerate(done.stdout.splitlines())] if done.returncode == 0 else []
