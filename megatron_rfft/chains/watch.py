"""What every stage of a chain is doing: Slurm's word for it, its training's last numbers, its last error.

The tasks of a chain on one machine are told in Slurm's words, as those of a job called "local".
"""

import json
import shlex
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from megatron_rfft.chains.jobs import LOCK, STATE, read_state
from megatron_rfft.common.files import read_json, require_file
from megatron_rfft.common.restart import is_held
from megatron_rfft.common.table import format_table
from megatron_rfft.slurm.scheduler import ACTIVE, Task, job_states
from megatron_rfft.training import goodput, slowest
from megatron_rfft.training.history import PAGE

HELD_BACK = "DependencyNeverSatisfied"
"""Why Slurm cancels what waits for a failed job (sbatch --kill-on-invalid-dep=yes)."""
LOCAL, LOCAL_JOB = "chain/local.json", "local"
"""Below RUN: what a chain on this machine runs, what failed, how long tasks took (see local.py); its job's name."""
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
    goodput: str
    """What the wall time went to, in words; empty where an older version wrote the numbers."""
    slow_rank: str
    """A rank that computes longer than the others; empty if there is none."""
    folder: str


@dataclass(frozen=True)
class StageView:
    """A stage of the chain, its newest jobs."""

    name: str
    jobs: list[int | str]
    states: dict[str, int]
    """Tasks by Slurm's state; empty if Slurm has forgotten the jobs."""
    failed: list[str]
    """Tasks that ended badly by themselves, as JOB or JOB_TASK; not those that Slurm cancelled for want of these."""
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
    if is_local(run):
        return _look_locally(run)
    if jobs := [int(folder.name) for folder in (run / "slurm").glob("[0-9]*")]:
        job = max(jobs)
        logs = list((run / "slurm" / str(job)).glob("*/*.log"))
        return [_view(run.name, {job: job_states([job]).get(job, [])}, logs, [run], run.parent)]
    require_file(run / STATE, "give the folder (key run) of a chain that rfft submit submitted, or of a run")
    stages = read_state(run)["stages"].items()
    submitted = {name: [entry["job"] for entry in stage["jobs"]] for name, stage in stages if stage["jobs"]}
    states = job_states([job for jobs in submitted.values() for job in jobs])
    return [_look_at(run, name, {job: states.get(job, []) for job in jobs}) for name, jobs in submitted.items()]


def is_local(run: Path) -> bool:
    """Whether the chain in ``run`` was last started on one machine, and not on Slurm."""
    local, jobs = run / LOCAL, run / STATE
    return local.is_file() and not (jobs.is_file() and jobs.stat().st_mtime > local.stat().st_mtime)


def _look_locally(run: Path) -> list[StageView]:
    alive = is_held(run / LOCK)
    views = []
    for name, stage in read_json(run / LOCAL)["stages"].items():
        counts = {"COMPLETED": stage["done"], "RUNNING" if alive else "STOPPED": len(stage["running"])}
        counts["FAILED"] = len(stage["failed"])
        counts["PENDING"] = stage["tasks"] - sum(counts.values())
        failed = [local_task(number, stage["array"]) for number in stage["failed"]]
        logs = [log_of(run, name, task) for task in failed]
        training = [
            found
            for folder in training_folders(run, name)
            if (found := training_progress(folder, run)) and found.step < found.steps
        ]
        states = {state: count for state, count in counts.items() if count}
        if states:
            views.append(StageView(name, [LOCAL_JOB], states, failed, "", "", training, last_error(logs), {}))
    return views


def local_task(number: int, is_array: bool) -> str:
    """How a task on this machine is called, as Slurm calls those of a job or an array."""
    return f"{LOCAL_JOB}_{number}" if is_array else LOCAL_JOB


def log_of(run: Path, stage: str, task: str) -> Path:
    """The log of a task of a chain."""
    return run / "chain" / f"{stage}-{task}.log"


def training_folders(run: Path, stage: str) -> list[Path]:
    """Folders of a chain's training runs."""
    patterns = {"pretrain": ["pretrain*", "pretrain*/seed-*"], "adapt": ["adapt/*/*", "adapt/*/*/seed-*"]}
    return sorted(path for pattern in patterns.get(stage, []) for path in run.glob(pattern) if path.is_dir())


def _look_at(run: Path, name: str, jobs: dict[int, list[Task]]) -> StageView:
    logs = [file for job in jobs for form in (f"{name}-{job}.log", f"{name}-{job}_*.log") for file in _logs(run, form)]
    return _view(name, jobs, logs, training_folders(run, name), run)


def _logs(run: Path, form: str) -> list[Path]:
    return list((run / "chain").glob(form))


def _view(name: str, jobs: dict[int, list[Task]], logs: list[Path], folders: list[Path], run: Path) -> StageView:
    tasks = [task for found in jobs.values() for task in found]
    waits = [task.reason for task in tasks if task.state == "PENDING" and task.reason != "None"]
    left = [task.time_left for task in tasks if task.state == "RUNNING"]
    failed = [
        f"{job}_{task.task}" if task.task else str(job)
        for job, found in jobs.items()
        for task in found
        if task.state not in ACTIVE and task.state != "COMPLETED" and task.reason != HELD_BACK
    ]
    return StageView(
        name,
        list(jobs),
        dict(Counter(task.state for task in tasks)),
        failed,
        waits[0] if waits else "",
        left[0] if left else "",
        [found for folder in folders if (found := training_progress(folder, run))],
        last_error(logs),
        {node: reason for folder in folders for node, reason in excluded_nodes(folder).items()},
    )


def excluded_nodes(folder: Path) -> dict[str, str]:
    """Nodes that the jobs of a training run do without, and why (slurm/train.sbatch notes them)."""
    lines = [line for file in folder.glob("slurm/*/excluded") for line in file.read_text().splitlines()]
    return dict(line.split("\t", 1) for line in lines)


def training_progress(folder: Path, run: Path) -> Progress | None:
    """The last line of a training's metrics, whose name is that of its ``folder`` below ``run``; None before one."""
    metrics, config = folder / "metrics.jsonl", folder / "config.yaml"
    if not (metrics.is_file() and config.is_file()):
        return None
    if not (row := _last_row(metrics)):
        return None
    steps = _steps_in(config, config.stat().st_mtime_ns)
    left = goodput.seconds_left(row, steps - row["step"])
    name = str(folder.relative_to(run)).removeprefix("adapt/")
    slow = slowest.in_words(_last_row(folder / "ranks.jsonl"))
    told = goodput.in_words(row)
    return Progress(name, row["step"], steps, row["loss"], row["tokens_per_second"], left, told, slow, str(folder))


def _last_row(file: Path) -> dict[str, Any]:
    """The last whole line of a file of JSON lines; {} if there is none."""
    lines = [line for line in tail_of(file).splitlines() if line.startswith("{") and line.endswith("}")]
    return json.loads(lines[-1]) if lines else {}


@cache
def _steps_in(config: Path, changed: int) -> int:
    """``run.steps`` of a training's config, read again only when it has ``changed``: a display asks every second."""
    return yaml.safe_load(config.read_text(encoding="utf-8"))["run"]["steps"]


def last_error(logs: list[Path]) -> str:
    """The last line with ``error:`` of the newest log that has one."""
    for log in sorted(logs, key=lambda file: file.stat().st_mtime, reverse=True):
        lines = [line for line in tail_of(log).splitlines() if "error:" in line.lower()]
        if lines:
            own = [line for line in lines if not line.startswith(("srun:", "slurmstepd"))]
            return (own or lines)[-1].strip()
    return ""


def advice(run: Path, views: list[StageView]) -> str:
    """What failed, and what to do next; empty while there is nothing to do."""
    if is_local(run):
        config, more = read_json(run / LOCAL)["config"], ["--local"]
    elif (run / STATE).is_file():
        config, more = read_state(run)["config"], []
    else:
        return ""
    words = shlex.join(["rfft", "submit", "--config", config, "--run", str(run), *more])
    lines = []
    for view in views:
        if view.failed:
            some = ", ".join(view.failed[:8]) + (", ..." if len(view.failed) > 8 else "")
            log = log_of(run, view.name, view.failed[0])
            lines.append(f"failed: {view.name} ({some}), and what needs it was not started; see {log}")
    if lines:
        return "\n".join([*lines, f"fix it and go on with: {words}"])
    if all(set(view.states) == {"COMPLETED"} for view in views):
        return f"everything is finished: {run / 'report' / 'report.html'}"
    if all(not ACTIVE.intersection(view.states) for view in views):
        return f"nothing is queued or running; what is not done is started by: {words}"
    return ""


def curves(views: list[StageView]) -> str:
    """Where to look at the trainings: pages of theirs, or how the page of the first one is made; empty without any."""
    folders = [Path(run.folder) for view in views for run in view.training]
    pages = [str(folder / PAGE) for folder in folders if (folder / PAGE).is_file()]
    if pages:
        return "\n".join(f"curves: {page}" for page in pages)
    if not folders:
        return ""
    words = shlex.join(["rfft", "report", "--training", str(folders[0]), "--follow"])
    return f"curves of a training: {words}"


def as_values(views: list[StageView]) -> dict[str, Any]:
    """Plain values, for scripts."""
    return {"stages": [asdict(view) for view in views]}


def format_views(views: list[StageView], told: str = "") -> str:
    """One screen: a line for each stage, indented ones for its training runs and its error, and what is ``told``."""
    rows = []
    for view in views:
        states = ", ".join(f"{count} {state}" if count > 1 else state for state, count in view.states.items())
        held = set(view.states) == {"CANCELLED"} and not view.failed
        state = (states or "FORGOTTEN") + (f" ({view.reason})" if view.reason else "")
        state += " (a stage before it failed)" if held else ""
        rows.append([view.name, ",".join(map(str, view.jobs)), view.time_left, state])
    lines = format_table(["stage", "job", "limit in", "state"], rows).splitlines()
    shown = lines[:1]
    for view, line in zip(views, lines[1:], strict=True):
        shown.append(line)
        for run in sorted(view.training, key=lambda run: run.step >= run.steps)[:16]:
            left = f"{run.seconds_left / 3600:.0f}:{run.seconds_left % 3600 // 60:02.0f} h left"
            speed = f"{run.tokens_per_second:,.0f} tokens/s"
            words = [f"step {run.step} of {run.steps}", f"loss {run.loss:.4f}", speed, left]
            shown.append(f"    {run.name}: " + ", ".join(word for word in [*words, run.goodput, run.slow_rank] if word))
        shown += [f"    excluded: {node} ({reason})" for node, reason in view.excluded.items()]
        if view.error:
            shown.append(f"    {view.error[:160]}")
    return "\n".join([*shown, told] if told else shown)


def tail_of(file: Path, size: int = _TAIL) -> str:
    """The last ``size`` bytes of a file; empty if it is not there."""
    if not file.is_file():
        return ""
    with file.open("rb") as handle:
        handle.seek(max(0, file.stat().st_size - size))
        return handle.read().decode("utf-8", errors="replace")
