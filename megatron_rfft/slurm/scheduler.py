"""What this package asks of Slurm: to take a job, and what became of jobs."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.processes import end_with_parent

ACTIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SUSPENDED"}
ACTIVE |= {"SPECIAL_EXIT", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "RESV_DEL_HOLD"}
_SECONDS = 60
_SITE_VARIABLES = {"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT"}
"""Which Slurm is asked, and as whom."""


@dataclass(frozen=True)
class Task:
    """A job, or a task of an array, as Slurm sees it."""

    task: str
    """Its number in the array, "" of a job that is none; "0-3" of tasks that never ran, in Slurm's accounting."""
    state: str
    reason: str
    """Why it waits."""
    time_left: str
    nodes: str

    @property
    def numbers(self) -> list[int]:
        """Its number in the array, or all that it stands for; 0 of a job that is none."""
        ranges = [part.split("-") for part in self.task.partition("%")[0].split(",") if part]
        return [number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)] or [0]


def submit_job(command: list[str], variables: Mapping[str, str], folder: Path) -> int:
    """Run an sbatch command (``--parsable``) in ``folder``; the job has ``variables`` beside those of this process.

    Returns the job's number. Raises UserError with Slurm's answer.
    """
    done = _run(command, {**_without_outer_job(os.environ), **variables}, folder)
    if done.returncode:
        raise UserError(f"sbatch refused {' '.join(command[1:])}: {done.stderr.strip()}")
    return int(done.stdout.split(";")[0])


def _without_outer_job(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables without what Slurm told the job that this process is part of: a new one would inherit it."""
    if "SLURM_JOB_ID" not in environment:
        return dict(environment)
    return {
        name: value
        for name, value in environment.items()
        if name in _SITE_VARIABLES or not name.startswith(("SLURM_", "SLURMD_"))
    }


def job_states(jobs: Iterable[int]) -> dict[int, list[Task]]:
    """The tasks of each of ``jobs``; a job that Slurm has forgotten is left out. Raises UserError without Slurm."""
    wanted = set(jobs)
    if not wanted:
        return {}
    done = _run(["squeue", "--noheader", "--states=all", "--array", f"--user={_user()}", "--format=%F|%K|%T|%r|%L|%N"])
    if done.returncode:
        raise UserError(f"squeue does not answer: {done.stderr.strip()}; try again")
    found: dict[int, list[Task]] = {}
    for line in done.stdout.splitlines():
        job, task, state, reason, left, nodes = line.split("|")
        if int(job) in wanted:
            found.setdefault(int(job), []).append(Task("" if task == "N/A" else task, state, reason, left, nodes))
    for job in wanted - set(found):
        if tasks := _accounted(job):
            found[job] = tasks
    return found


def find_job(comment: str) -> int | None:
    """The user's job that was submitted with ``--comment``; None if Slurm knows none."""
    done = _run(["squeue", "--noheader", "--states=all", f"--user={_user()}", "--format=%F|%k"])
    lines = [line.split("|", 1) for line in done.stdout.splitlines()]
    return next((int(job) for job, found in lines if found == comment), None)


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _accounted(job: int) -> list[Task]:
    """What Slurm's accounting, where there is one, says of a job that left the queue's memory (MinJobAge)."""
    if shutil.which("sacct") is None:
        return []
    form = ["--noheader", "--parsable2", "--allocations", "--format=JobID,State,NodeList"]
    done = _run(["sacct", f"--jobs={job}", *form])
    tasks = []
    for line in done.stdout.splitlines() if done.returncode == 0 else []:
        name, state, nodes = line.split("|")
        tasks.append(Task(name.partition("_")[2].strip("[]"), state.split()[0], "", "", nodes))
    return tasks


def _run(command: list[str], environment: Mapping[str, str] | None = None, folder: Path | None = None):
    if shutil.which(command[0]) is None:
        raise UserError(f"{command[0]} is not here; run this where jobs are submitted")
    try:
        return subprocess.run(
            command,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            preexec_fn=end_with_parent,  # nothing is submitted any more for one that was killed
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{command[0]} did not answer for {_SECONDS} s; try again") from error
