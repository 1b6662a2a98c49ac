"""What every job of a chain is doing: Slurm's word for it, its training's last numbers, its last error."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from megatron_rfft.cluster.chain import STATE
from megatron_rfft.cluster.plan.report import format_table
from megatron_rfft.cluster.slurm import Task, job_states
from megatron_rfft.common.files import read_json, require_file

_TAIL = 64 * 1024
"""Bytes at the end of a file that are looked at."""


@dataclass(frozen=True)
class Progress:
    """Where a training run stands."""

    name: str
    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class StageView:
    """A stage of the chain, its newest job."""

    name: str
    job: int
    states: dict[str, int]
    """Tasks by Slurm's state; empty if Slurm has forgotten the job."""
    reason: str
    """Why it waits."""
    time_left: str
    """Of its time limit."""
    training: list[Progress]
    error: str
    """The last line of its logs that says error."""
    excluded: dict[str, str]
    """Bad nodes that its jobs go on without, with the reasons."""


def look(run: Path) -> list[StageView]:
    """Every stage of the chain in ``run`` that was submitted, or the training run's job if ``run`` is one's folder.

    Raises UserError if it is neither.
    """
    if jobs := [int(folder.name) for folder in (run / "slurm").glob("[0-9]*")]:
        return [_training_view(run, max(jobs))]
    file = require_file(run / STATE, "give the folder (key run) of a chain that tools/submit.py submitted, or of a run")
    submitted = read_json(file)["stages"]
    states = job_states([entry["job"] for entry in submitted.values()])
    return [_look_at(run, name, entry["job"], states.get(entry["job"], [])) for name, entry in submitted.items()]


def _training_view(run: Path, job: int) -> StageView:
    progress = [found for found in [training_progress(run)] if found]
    logs = list((run / "slurm" / str(job)).glob("*/*.log"))
    return _view(run.name, job, job_states([job]).get(job, []), progress, logs, [run])


def _look_at(run: Path, name: str, job: int, tasks: list[Task]) -> StageView:
    if name == "pretrain":
        folders = [run / "pretrain"]
    else:
        folders = sorted(path.parent for path in (run / "adapt").glob("*/config.yaml")) if name == "adapt" else []
    progress = [found for folder in folders if (found := training_progress(folder))]
    logs = [*(run / "chain").glob(f"{name}-{job}.log"), *(run / "chain").glob(f"{name}-{job}_*.log")]
    return _view(name, job, tasks, progress, logs, folders)


def _view(
    name: str, job: int, tasks: list[Task], progress: list[Progress], logs: list[Path], folders: list[Path]
) -> StageView:
    waits = [task.reason for task in tasks if task.state == "PENDING" and task.reason != "None"]
    left = [task.time_left for task in tasks if task.state == "RUNNING"]
    counted = Counter(task.state for task in tasks)
    return StageView(
        name,
        job,
        dict(counted),
        waits[0] if waits else "",
        left[0] if left else "",
        progress,
        last_error(logs),
        {node: reason for folder in folders for node, reason in excluded_nodes(folder).items()},
    )


def excluded_nodes(folder: Path) -> dict[str, str]:
    """Nodes that the jobs of a training run do without, and why (slurm/train.sbatch notes them)."""
    lines = [line for file in folder.glob("slurm/*/excluded") for line in file.read_text().splitlines()]
    return dict(line.split("\t", 1) for line in lines)


def training_progress(folder: Path) -> Progress | None:
    """The last line of a run's metrics; None before there is one."""
    metrics, config = folder / "metrics.jsonl", folder / "config.yaml"
    if not (metrics.is_file() and config.is_file()):
        return None
    lines = [line for line in _tail(metrics).splitlines() if line.startswith("{") and line.endswith("}")]
    if not lines:
        return None
    row = json.loads(lines[-1])
    steps = yaml.safe_load(config.read_text(encoding="utf-8"))["run"]["steps"]
    left = (steps - row["step"]) * row["seconds_per_step"]
    return Progress(folder.name, row["step"], steps, row["loss"], row["tokens_per_second"], left)


def last_error(logs: list[Path]) -> str:
    """The last line with ``error:`` of the newest log that has one."""
    for log in sorted(logs, key=lambda file: file.stat().st_mtime, reverse=True):
        lines = [line for line in _tail(log).splitlines() if "error:" in line.lower()]
        if lines:
            own = [line for line in lines if not line.startswith(("srun:", "slurmstepd"))]
            return (own or lines)[-1].strip()
    return ""


def as_values(views: list[StageView]) -> dict[str, Any]:
    """Plain values, for scripts."""
    return {"stages": [asdict(view) for view in views]}


def format_views(views: list[StageView]) -> str:
    """One screen: a line for each stage, indented ones for its training runs and its error."""
    rows = []
    for view in views:
        states = ", ".join(f"{count} {state}" if count > 1 else state for state, count in view.states.items())
        state = (states or "FORGOTTEN") + (f" ({view.reason})" if view.reason else "")
        rows.append([view.name, str(view.job), view.time_left, state])
    lines = format_table(["stage", "job", "limit in", "state"], rows).splitlines()
    shown = lines[:1]
    for view, line in zip(views, lines[1:], strict=True):
        shown.append(line)
        for run in view.training[:16]:
            left = f"{run.seconds_left / 3600:.0f}:{run.seconds_left % 3600 // 60:02.0f} h left"
            speed = f"{run.tokens_per_second:,.0f} tokens/s"
            shown.append(f"    {run.name}: step {run.step} of {run.steps}, loss {run.loss:.4f}, {speed}, {left}")
        shown += [f"    excluded: {node} ({reason})" for node, reason in view.excluded.items()]
        if view.error:
            shown.append(f"    {view.error[:160]}")
    return "\n".join(shown)


def _tail(file: Path) -> str:
    with file.open("rb") as handle:
        handle.seek(max(0, file.stat().st_size - _TAIL))
        return handle.read().decode("utf-8", errors="replace")
