"""What the files of a run folder tell of its training, read without torch and while it still goes on."""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from megatron_rfft.common.files import require_directory, require_file, whole_lines
from megatron_rfft.common.yaml_config import read_yaml
from megatron_rfft.training.goodput import RESTART
from megatron_rfft.training.run_config import CONFIG

PAGE = "training.html"
"""A run's page (run_page.py), in its own folder as a rule."""
MOST_BINS = 24
"""Stretches of steps that losses by task and length are put together in."""
_HINT = "give the folder of a training run (its run.output)"
_LEFT_OUT = ("loss_by_task", "loss_by_length", "batch")
"""What is long, and told by ``losses.jsonl`` too."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Start:
    """One start of a run, as far as its steps stand on record: those that were done again do not."""

    rows: Sequence[Row]
    """Its lines of ``metrics.jsonl``, at least one."""
    pause: float
    """Seconds from the last line of the start before to its own first step."""
    again: int
    """Steps of the start before that it did once more."""

    @property
    def began(self) -> float:
        """Unix seconds at the beginning of its first step on record."""
        first = self.rows[0]
        return first["time"] - first["wall_seconds_per_step"] * first["steps"]

    @property
    def stopped(self) -> str:
        """The signal or the reason that ended it; empty where it did not say one."""
        return self.rows[-1].get("stopped", "")


@dataclass(frozen=True)
class Losses:
    """Training losses by task and length over time."""

    bounds: Sequence[tuple[int, int]]
    """The first and the last step of each bin."""
    sums: Mapping[tuple[int, str, int], tuple[float, int]]
    """By (bin, task, length): the sum of the losses, and the target tokens that it is over."""

    def mean(self, key: Callable[[int, str, int], Hashable | None]) -> dict[Any, tuple[float, int]]:
        """Mean loss per target token, and the tokens, of the cells that ``key`` puts together; None leaves one out."""
        together: dict[Any, tuple[float, int]] = {}
        for cell, (loss, tokens) in self.sums.items():
            if (name := key(*cell)) is not None:
                before = together.get(name, (0.0, 0))
                together[name] = (before[0] + loss, before[1] + tokens)
        return {name: (loss / tokens, tokens) for name, (loss, tokens) in together.items()}


@dataclass(frozen=True)
class History:
    """A training run."""

    name: str
    folder: Path
    config: Mapping[str, Mapping[str, Any]]
    """``config.yaml``, by sections."""
    metrics: Sequence[Row]
    """Lines of ``metrics.jsonl``, but for the losses by task and length."""
    means: Mapping[int, float]
    """By step of such a line the mean loss per target token since the line before."""
    losses: Losses
    validation: Sequence[Row]
    skipped: Sequence[Row]
    """Lines of ``skipped.jsonl``, but for the documents."""
    ranks: Sequence[Row]
    unreadable: Mapping[str, int]
    """Whole lines that are not JSON, by file."""

    @property
    def steps(self) -> int:
        """What the run trains to."""
        return self.config["run"]["steps"]

    @property
    def step(self) -> int:
        return self.metrics[-1]["step"] if self.metrics else 0

    @property
    def finished(self) -> str:
        """Why there is nothing left to do; empty while there is."""
        early = self.validation[-1].get("stopped", "") if self.validation else ""
        return "finished" if self.step >= self.steps else early

    def starts(self) -> list[Start]:
        """Its starts with steps on record, the first one first; none where an older version wrote the lines."""
        rows = [row for row in self.metrics if "wall" in row]
        found: list[Start] = []
        before = {"seconds": {RESTART: 0.0}, "steps_again": 0}
        for _, lines in groupby(rows, key=lambda row: row["wall"]["restarts"]):
            of_start = list(lines)
            wall = of_start[0]["wall"]
            pause = wall["seconds"][RESTART] - before["seconds"][RESTART]
            found.append(Start(of_start, pause, wall["steps_again"] - before["steps_again"]))
            before = of_start[-1]["wall"]
        return found

    def time_of(self, step: int) -> float | None:
        """Unix seconds of the line that has ``step``; None where there is none yet, or it tells no time."""
        return next((row.get("time") for row in self.metrics if row["step"] >= step), None)


def read_history(name: str, folder: Path) -> History:
    """What the run in ``folder`` has on record. Raises UserError if the folder holds no training run."""
    require_directory(folder, _HINT)
    config = read_yaml(require_file(folder / CONFIG, _HINT), "restore it")
    unreadable: dict[str, int] = {}
    read = {
        kind: list(_rows(folder / f"{kind}.jsonl", unreadable))
        for kind in ("metrics", "validation", "skipped", "ranks")
    }
    last = read["metrics"][-1]["step"] if read["metrics"] else 0
    losses, means = _losses(folder / "losses.jsonl", last, len(read["metrics"]), unreadable)
    return History(name, folder, config, means=means, losses=losses, unreadable=unreadable, **read)


def _rows(path: Path, unreadable: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The lines of a file that have a step, without what is long; others are counted in ``unreadable``."""
    for line in whole_lines(path):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            yield {key: value for key, value in row.items() if key not in _LEFT_OUT}
        else:
            unreadable[path.name] = unreadable.get(path.name, 0) + 1


def _losses(path: Path, last: int, lines: int, unreadable: dict[str, int]) -> tuple[Losses, dict[int, float]]:
    """The losses of ``losses.jsonl`` up to step ``last`` in bins, and the mean of each of its lines."""
    bins = max(1, min(MOST_BINS, lines))
    sums: dict[tuple[int, str, int], tuple[float, int]] = {}
    means = {}
    for row in _rows(path, unreadable):
        if not 0 < row["step"] <= last:
            continue
        at, total, count = (row["step"] - 1) * bins // last, 0.0, 0
        for task, lengths in row["tasks"].items():
            for length, (loss, tokens) in lengths.items():
                before = sums.get((at, task, int(length)), (0.0, 0))
                sums[at, task, int(length)] = (before[0] + loss * tokens, before[1] + tokens)
                total, count = total + loss * tokens, count + tokens
        if count:
            means[row["step"]] = total / count
    bounds = [(-(-at * last // bins) + 1, -(-(at + 1) * last // bins)) for at in range(bins)]
    return Losses(bounds, sums), means
