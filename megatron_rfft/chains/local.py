"""A chain on one machine: its tasks as processes, side by side as far as cores and GPUs go, in the order of stages."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from megatron_rfft.chains.chain import ROOT, Chain
from megatron_rfft.chains.config import STAGES, ChainConfig, for_stage
from megatron_rfft.chains.jobs import STATE, Submission, find_under_way, read_state, submission_lock
from megatron_rfft.chains.local_estimate import Estimate, Seen, look_at, needs_of
from megatron_rfft.chains.local_progress import Display, Shown, View
from megatron_rfft.chains.machine import ASKING, TRAINING, Ending, Free, Key, Machine, Share, choose
from megatron_rfft.chains.stage import Stage, Task
from megatron_rfft.chains.watch import LOCAL, local_task, log_of, tail_of
from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, EXIT_STOPPED
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json, write_json

LAST_LINES = 12
"""Of a log, shown when a task has failed."""
_TAIL_BYTES = 64 * 1024
_POLL_SECONDS = 0.1


@dataclass
class Running:
    """A task under way."""

    process: subprocess.Popen
    log: Path
    share: Share
    gpus: list[str]
    started: float
    log_start: int
    """Bytes of the log that earlier attempts wrote."""


def for_this_machine(config: ChainConfig) -> ChainConfig:
    """``config`` with what its section ``local`` says of the stages themselves."""
    return replace(config, evaluate=replace(config.evaluate, engine=config.local.engine or config.evaluate.engine))


def run_locally(chain: Chain, config_file: Path, machine: Machine | None = None) -> int:
    """Run all tasks of ``chain`` that are wanted and not done; the exit code: 0, 1 if one failed, 75 if stopped by a
    signal. What a failed task does not hold up goes on.

    Raises UserError if the inputs are not there, jobs of the chain are on Slurm, or another process runs it.
    """
    machine = machine or Machine.of(chain.config)
    for stage in chain.stages:
        machine.share(chain.config, stage.name)
    chain.check_inputs()
    chain.run.mkdir(parents=True, exist_ok=True)
    with submission_lock(chain.run):
        _check_slurm(chain)
        if note := _changed(chain):
            print(note, file=sys.stderr)
        for path, text in ((path, text) for stage in chain.stages for path, text in stage.scripts.items()):
            with atomic_write(path, durable=False) as handle:
                handle.write(text)
        return LocalRun(chain, config_file, machine).work()


def _changed(chain: Chain) -> str:
    """A note of tasks that are done, by other commands than the chain has now; empty if there are none."""
    found = []
    for stage in chain.stages:
        before = {path.read_text(encoding="utf-8") for path in stage.folder.glob("*.sh")}
        found += [
            f"{stage.name} {task.name}"
            for task in stage.tasks
            if before and task.script not in before and task.name != "report" and task.is_done()
        ]
    if not found:
        return ""
    shown = ", ".join(found[:6]) + (", ..." if len(found) > 6 else "")
    return f"note: the chain has changed, and what is finished stays: {shown}; remove what these made to make it anew"


def look_at_stages(chain: Chain, *, dry_run: bool = False) -> list[Submission]:
    """How each stage stands after ``run_locally``; in a dry run before it, with the scripts of all tasks to run."""
    record = {} if dry_run else read_json(chain.run / LOCAL)["stages"]
    found, missing = [], chain.missing()
    for stage in chain.stages:
        numbers, failed = missing[stage.name], record.get(stage.name, {}).get("failed", [])
        scripts = [_script_of(stage, number) for number in numbers] if dry_run else []
        state = "failed" if failed else "missing" if numbers else "done"
        told = {"tasks": failed or numbers, "commands": scripts}
        found.append(Submission(stage.name, state, str(stage.folder), len(stage.tasks), **told))
    return found


def _script_of(stage: Stage, number: int) -> str:
    task = stage.tasks[number]
    return f"# {stage.name} {number}: {task.name}\n{task.script.removeprefix('set -eu').strip()}"


class LocalRun:
    """One call's work on a chain."""

    def __init__(self, chain: Chain, config_file: Path, machine: Machine):
        self.chain, self.config_file, self.machine = chain, config_file, machine
        self.stages = {stage.name: stage for stage in chain.stages}
        self.waiting = self._ordered(chain.missing())
        self.running: dict[Key, Running] = {}
        self.failed: dict[Key, int] = {}
        self.free = Free(machine)
        self.file = chain.run / LOCAL
        self.seconds: dict[str, dict[str, float]] = read_json(self.file)["seconds"] if self.file.is_file() else {}
        """How long tasks took, by stage and name, in earlier calls too."""
        self.estimate = Estimate(chain.stages, self.seconds)
        self.looked: tuple[float, dict[Key, tuple[Seen, float | None]]] | None = None
        self.started, self.stopping = time.monotonic(), False
        wanted = set(self.waiting)
        self.done = {
            name: sum((name, number) not in wanted and task.is_done() for number, task in enumerate(stage.tasks))
            for name, stage in self.stages.items()
        }
        self.tasks = {name: done + sum(key[0] == name for key in wanted) for name, done in self.done.items()}
        """Those that are done or wanted, by stage."""

    def work(self) -> int:
        """Until nothing is left that can run; the exit code."""
        display = Display(self.chain.run)
        with self._stopped_by_signals():
            self._write()
            while not self.stopping and (self.running or self._ready()):
                for key, gpus in choose(self._ready(), self.free, self._share, self._endings, self.estimate.of):
                    self._begin(key, gpus, display)
                time.sleep(_POLL_SECONDS)
                for key, task in list(self.running.items()):
                    if (code := task.process.poll()) is not None:
                        self._end(key, code, display)
                if display.is_due():
                    display.show(self._view())
            if self.stopping:
                self._stop()
            self._write()
            display.show(self._view(), last=True)
        return self._told(display)

    # what is next

    def _ordered(self, missing: Mapping[str, list[int]]) -> list[Key]:
        """Stage by stage, of trainings the longest first: the others fill what it leaves."""
        keys = [(name, number) for name in missing for number in missing[name]]
        tokens = {key: self.stages[key[0]].tasks[key[1]].tokens for key in keys}
        return sorted(keys, key=lambda key: (STAGES.index(key[0]), -tokens[key], key[1]))

    def _ready(self) -> list[Key]:
        held = {*self.waiting, *self.running, *self.failed}
        return [key for key in self.waiting if not held.intersection(needs_of(self.stages, key))]

    def _share(self, stage: str) -> Share:
        return self.machine.share(self.chain.config, stage)

    # tasks

    def _begin(self, key: Key, gpus: list[str], display: Display) -> None:
        stage, number = self.stages[key[0]], key[1]
        share = self._share(stage.name)
        log = log_of(self.chain.run, stage.name, local_task(number, stage.is_array))
        script = stage.script(number)
        supervised = [sys.executable, "-m", "megatron_rfft.common.supervise", str(os.getpid())]
        with log.open("ab") as handle:
            log_start = handle.tell()
            handle.write(f"{time.strftime('%F %T')} {shlex.join(['bash', str(script)])}\n".encode())
            handle.flush()
            process = subprocess.Popen(
                [*supervised, "bash", str(script)],
                cwd=ROOT,
                env=self._environment(stage.name, share, gpus),
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the keys of a terminal reach this process alone, which then asks the others
            )
        self.waiting.remove(key)
        self.running[key] = Running(process, log, share, gpus, time.monotonic(), log_start)
        self._write()
        display.line(f"{self._name(key)}: begins")

    def _environment(self, stage: str, share: Share, gpus: list[str]) -> dict[str, str]:
        local = self.chain.config.local
        count = share.gpus if stage in TRAINING and share.gpus else share.cores
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHON": sys.executable,
            "OMP_NUM_THREADS": str(share.cores) if stage in ASKING else "1",
            "TOKENIZERS_PARALLELISM": "false",
            "WORKERS": str(count),
            **({"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if _are_gpus_shared(self.machine) else {}),
            **local.variables,
            **for_stage(local.stage_variables, stage),
        }

    def _end(self, key: Key, code: int, display: Display) -> None:
        task = self.running.pop(key)
        self.free.give_back(task.share, task.gpus)
        stage, seconds = self.stages[key[0]], time.monotonic() - task.started
        if code == 0 and not stage.is_coarse and not stage.tasks[key[1]].is_done():
            code = EXIT_FAILED
        if code:
            self.failed[key] = code
            display.line(self._failure(key, task, code))
        else:
            self.seconds.setdefault(key[0], {})[self._task(key).name] = round(seconds, 1)
            self.done[key[0]] += 1
            display.line(f"{self._name(key)}: done in {seconds:.0f} s")
        self._write()

    def _stop(self) -> None:
        """Ask all tasks to end, training to save first."""
        for task in self.running.values():
            task.process.terminate()
        for task in self.running.values():
            task.process.wait()

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        def stop(*_: object) -> None:
            self.stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # what is told

    def _task(self, key: Key) -> Task:
        return self.stages[key[0]].tasks[key[1]]

    def _name(self, key: Key) -> str:
        return f"{key[0]} {self._task(key).name}" if len(self.stages[key[0]].tasks) > 1 else key[0]

    def _failure(self, key: Key, task: Running, code: int) -> str:
        """Its last lines, after what it calls an error itself: torchrun adds pages to that."""
        size = task.log.stat().st_size - task.log_start
        lines = tail_of(task.log, min(size, _TAIL_BYTES)).replace("\r", "\n").strip().splitlines()
        errors = [line for line in lines[:-LAST_LINES] if line.startswith("error: ")][-1:]
        shown = "\n".join(f"    {line[:400]}" for line in [*errors, *lines[-LAST_LINES:]])
        return f"{self._name(key)}: failed (exit code {code}), the end of {task.log}:\n{shown}"

    def _look(self) -> dict[Key, tuple[Seen, float | None]]:
        """What each running task says of itself, and its seconds left as far as they are known; asked of files, so no
        more than once a second."""
        if self.looked is None or time.monotonic() - self.looked[0] > 1 or self.looked[1].keys() != self.running.keys():
            seen = {key: look_at(self._task(key), task.log) for key, task in self.running.items()}
            gone = {key: time.monotonic() - task.started for key, task in self.running.items()}
            told = {key: one.seconds_left for key, one in seen.items() if one.seconds_left is not None}
            self.estimate.under_way = {key: gone[key] + left for key, left in told.items() if key[0] in TRAINING}
            for key in seen.keys() - told.keys():
                if (whole := self.estimate.of(key)) is not None:
                    told[key] = max(1.0, whole - gone[key])
            self.looked = time.monotonic(), {key: (one, told.get(key)) for key, one in seen.items()}
        return self.looked[1]

    def _endings(self) -> list[Ending]:
        running = self.running
        return [Ending(left, running[key].share, running[key].gpus) for key, (_, left) in self._look().items()]

    def _view(self) -> View:
        looked = self._look()
        left = {key: (rest or 0.0, self.running[key].gpus) for key, (_, rest) in looked.items()}
        todo = [key for key in self.waiting if not self._is_held_up(key)]
        estimate = self.estimate.left(self.machine, self._share, left, todo)
        return View(
            [
                Shown(
                    name,
                    self.done[name],
                    self.tasks[name],
                    sum(key[0] == name for key in self.failed),
                    [(self._task(key).name, looked[key][0].text) for key in self.running if key[0] == name],
                )
                for name in self.stages
                if self.tasks[name]
            ],
            time.monotonic() - self.started,
            estimate.seconds,
            estimate.complete and all(rest is not None for _, rest in looked.values()),
        )

    def _is_held_up(self, key: Key) -> bool:
        needs = needs_of(self.stages, key)
        return any(need in self.failed or (need in self.waiting and self._is_held_up(need)) for need in needs)

    def _told(self, display: Display) -> int:
        if self.failed:
            kept = f", and {len(self.waiting)} that need what it makes were not started" if self.waiting else ""
            names = ", ".join(self._name(key) for key in self.failed)
            display.line(f"failed: {names}{kept}; fix it, and run the same command again to go on")
            return EXIT_FAILED
        if self.stopping:
            display.line("stopped; run the same command again to go on")
            return EXIT_STOPPED
        if "report" in self.stages and self.stages["report"].tasks[0].is_done():
            display.line(f"report: {self.chain.run / 'report' / 'report.html'}")
        return EXIT_OK

    # the record

    def _write(self) -> None:
        record = {
            "config": str(self.config_file.absolute()),
            "time": round(time.time()),
            "stages": {
                name: {
                    "tasks": self.tasks[name],
                    "array": stage.is_array,
                    "done": self.done[name],
                    "running": [number for own, number in self.running if own == name],
                    "failed": [number for own, number in self.failed if own == name],
                }
                for name, stage in self.stages.items()
            },
            "seconds": self.seconds,
        }
        write_json(self.file, record)


def _are_gpus_shared(machine: Machine) -> bool:
    """Whether there are any, so that each task is told which are its own."""
    return bool(machine.gpus) or "CUDA_VISIBLE_DEVICES" in os.environ or shutil.which("nvidia-smi") is not None


def _check_slurm(chain: Chain) -> None:
    if shutil.which("squeue") is None or not (chain.run / STATE).is_file():
        return
    if jobs := find_under_way(chain.stages, read_state(chain.run)).jobs:
        stage = min(jobs, key=STAGES.index)
        raise UserError(f"jobs of {chain.run} ({stage}) are queued or running on Slurm; wait for them, or cancel them")
