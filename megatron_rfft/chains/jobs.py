"""The jobs of a chain: which tasks are under way, what is still to be submitted, and what it waits for."""

import shlex
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from megatron_rfft.chains.chain import ROOT, Chain
from megatron_rfft.chains.stage import Stage
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json, write_json
from megatron_rfft.common.restart import hold
from megatron_rfft.slurm.scheduler import ACTIVE, find_job, job_states, submit_job

STATE, LOCK = "chain.json", ".submit.lock"
FORMAT = 2
"""Of the state; 1 knew one job a stage."""


@dataclass
class UnderWay:
    """Tasks that are queued or running, or done in an array of which others still are: submitted once, waited for."""

    jobs: dict[str, dict[int, int | str]]
    """For each stage the job of each such task."""
    broken: set[int]
    """Jobs of which other tasks have failed or never will run: to wait for the whole of them would be in vain."""

    def jobs_of(self, stage: str) -> list[int | str]:
        """The jobs of a stage, each once."""
        return list(dict.fromkeys(self.jobs.get(stage, {}).values()))

    def dependency(self, stage: Stage, task: int, quick: Set[str]) -> str:
        """What a task of ``stage`` waits for, in the form of sbatch's option; empty if it may begin.

        Of the stages ``quick`` it waits for whole jobs where one task would do, so that arrays stay together.
        """
        whole, pairs = [], []
        for before, numbers in stage.tasks[task].needs.items():
            jobs = self.jobs.get(before, {})
            wanted = [number for number in numbers if number in jobs]
            if before in stage.pairs and wanted == [task]:
                pairs.append(f"aftercorr:{jobs[task]}")
                continue
            for number in wanted:
                job = jobs[number]
                rest = {each for each, other in jobs.items() if other == job} - set(wanted)
                apart = job in self.broken or (rest and before not in quick)
                whole.append(f"{job}_{number}" if apart else str(job))
        return ",".join([f"afterok:{':'.join(dict.fromkeys(whole))}", *pairs] if whole else pairs)


@dataclass(frozen=True)
class Submission:
    """What became of a stage that was to be submitted."""

    stage: str
    state: str
    """done, under way, submitted, or missing (in a dry run); on one machine failed, too."""
    folder: str
    """Of its tasks' scripts."""
    num_tasks: int
    tasks: list[int] = field(default_factory=list)
    """The numbers of those that were submitted, are missing, or failed."""
    jobs: list[int] = field(default_factory=list)
    """What they were submitted as."""
    under_way: list[int | str] = field(default_factory=list)
    """Jobs that were queued or running before."""
    commands: list[str] = field(default_factory=list)
    """Of a dry run: what would be run."""

    @property
    def text(self) -> str:
        """For people: a line, or the commands of a dry run."""
        if self.commands:
            return "\n".join(self.commands)
        running = _jobs_text(self.under_way)
        if self.state != "submitted":
            return f"{self.stage}: {f'{running} queued or running' if running else self.state}"
        of = f" ({len(self.tasks)} of {self.num_tasks} tasks)" if self.num_tasks > 1 else ""
        also = f"; {running} queued or running" if running else ""
        return f"{self.stage}: submitted as job {', '.join(map(str, self.jobs))}{of}{also}"


def find_under_way(stages: Sequence[Stage], state: dict[str, Any]) -> UnderWay:
    """Ask Slurm about the jobs in ``state``. Raises UserError if it does not answer."""
    noted = {stage.name: state["stages"].get(stage.name, {"jobs": []})["jobs"] for stage in stages}
    states = job_states([entry["job"] for entries in noted.values() for entry in entries])
    jobs: dict[str, dict[int, int | str]] = {}
    lost: dict[int, set[int]] = {}
    for stage in stages:
        for entry in noted[stage.name]:
            job = entry["job"]
            seen = {number: task.state for task in states.get(job, []) for number in task.numbers}
            bad = {number for number, word in seen.items() if word not in ACTIVE and word != "COMPLETED"}
            waiting = {number for number, word in seen.items() if word == "PENDING"}
            lost[job] = bad | {number for number in waiting if _in_vain(entry["dependency"], number, lost)}
            if ACTIVE.intersection(seen.values()):
                # Slurm soon forgets a task that ended; what became of it, only its own output can say.
                known = entry["tasks"] if stage.is_coarse else seen
                jobs.setdefault(stage.name, {}).update({task: job for task in known if task not in lost[job]})
    return UnderWay(jobs, {job for job, tasks in lost.items() if tasks})


def _in_vain(dependency: str, task: int, lost: Mapping[int, set[int]]) -> bool:
    """Whether a task waits for one that failed or itself waits in vain: Slurm takes some time to cancel it."""
    for kind, *targets in (part.split(":") for part in dependency.split(",")):
        for job, _, number in (target.partition("_") for target in targets):
            gone = lost.get(int(job), set())
            if task in gone if kind == "aftercorr" else (int(number) in gone if number else gone):
                return True
    return False


def read_state(run: Path) -> dict[str, Any]:
    """What RUN/chain.json says: the config, and the jobs of each stage that was submitted.

    Raises UserError if another version wrote it.
    """
    file = run / STATE
    state = read_json(file) if file.is_file() else {"format": FORMAT, "stages": {}}
    if state.get("format") != FORMAT:
        raise UserError(f"{file} was written by another version; wait for its jobs to end, then remove it")
    return state


def submit_chain(chain: Chain, config_file: Path, *, dry_run: bool = False) -> list[Submission]:
    """Submit what is not done and not under way; what became of each stage.

    Raises UserError if Slurm refuses, or another process is submitting the same run.
    """
    if not dry_run:
        chain.check_inputs()
        chain.run.mkdir(parents=True, exist_ok=True)
    with nullcontext() if dry_run else submission_lock(chain.run):
        state = read_state(chain.run) | {"config": str(config_file.absolute())}
        if not dry_run:
            _adopt(state)
        asked = shutil.which("squeue") is not None or not dry_run
        under_way = find_under_way(chain.stages, state) if asked else UnderWay({}, set())
        missing = chain.missing()
        return [_submit_stage(chain, stage, missing[stage.name], state, under_way, dry_run) for stage in chain.stages]


def submission_lock(run: Path) -> AbstractContextManager[None]:
    """Held while jobs of ``run`` are submitted; the kernel frees it when the process ends, however that ends."""
    busy = f"another process is submitting jobs of {run}; wait until it has, then run this again"
    return hold(run / LOCK, busy)


def _submit_stage(
    chain: Chain, stage: Stage, wanted: list[int], state: dict[str, Any], under_way: UnderWay, dry_run: bool
) -> Submission:
    now = under_way.jobs.get(stage.name, {})
    missing = [task for task in wanted if task not in now]
    running = under_way.jobs_of(stage.name)
    told = partial(Submission, stage.name, folder=str(stage.folder), num_tasks=len(stage.tasks), under_way=running)
    if not missing:
        return told(state="under way" if running else "done")
    quick = {each.name for each in chain.stages if each.is_quick}
    groups: dict[str, list[int]] = {}
    for task in missing:
        groups.setdefault(under_way.dependency(stage, task, quick), []).append(task)
    if dry_run:
        commands = []
        for number, (dependency, tasks) in enumerate(groups.items(), start=1):
            job = f"<{stage.name}>" if len(groups) == 1 else f"<{stage.name}-{number}>"
            under_way.jobs.setdefault(stage.name, {}).update(dict.fromkeys(tasks, job))
            commands.append(_as_text(stage, stage.command(tasks, dependency), with_files=number == 1))
        return told(state="missing", tasks=missing, commands=commands)
    for path, text in stage.files.items():
        if now and path.is_file() and path.read_text(encoding="utf-8") != text:
            raise UserError(
                f"{_jobs_text(running)} queued or running and would find another {path}, for the config or --arms has "
                f"changed; wait, or cancel with scancel {' '.join(map(str, running))}"
            )
        with atomic_write(path) as handle:
            handle.write(text)
    chain.scripts.mkdir(parents=True, exist_ok=True)
    kept = [entry for entry in state["stages"].get(stage.name, {"jobs": []})["jobs"] if entry["job"] in now.values()]
    entry = state["stages"][stage.name] = {"jobs": kept}
    submitted = []
    for dependency, tasks in groups.items():
        # Noted before and after: a job that nobody knows of would be submitted twice.
        entry["submitting"] = {"comment": f"rfft-{uuid.uuid4()}", "tasks": tasks, "dependency": dependency}
        write_json(chain.run / STATE, state)
        command = stage.command(tasks, dependency, entry["submitting"]["comment"])
        job = submit_job(command, stage.variables, ROOT)
        under_way.jobs.setdefault(stage.name, {}).update(dict.fromkeys(tasks, job))
        _note(entry, job)
        write_json(chain.run / STATE, state)
        submitted.append(job)
    return told(state="submitted", tasks=missing, jobs=submitted)


def _note(entry: dict[str, Any], job: int) -> None:
    about = entry.pop("submitting")
    known = {"tasks": about["tasks"], "dependency": about["dependency"], "submitted": round(time.time())}
    entry["jobs"].append({"job": job, **known})


def _adopt(state: dict[str, Any]) -> None:
    """Note the job that Slurm took from a process that was killed before it could."""
    for entry in state["stages"].values():
        if "submitting" in entry:
            if job := find_job(entry["submitting"]["comment"]):
                _note(entry, job)
            entry.pop("submitting", None)


def _jobs_text(jobs: Sequence[int | str]) -> str:
    if not jobs:
        return ""
    return f"job {jobs[0]} is" if len(jobs) == 1 else f"jobs {', '.join(map(str, jobs))} are"


def _as_text(stage: Stage, command: list[str], *, with_files: bool) -> str:
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in stage.variables.items())
    lines = [f"# {stage.name}", variables + shlex.join(command)]
    for path, text in stage.files.items() if with_files else ():
        lines += [f"## {path}", *(f"   {line}" for line in text.splitlines())]
    return "\n".join(lines)
