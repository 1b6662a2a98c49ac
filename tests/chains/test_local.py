"""A chain on one machine: side by side, in order, through failures and kills; with small scripts as tasks."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.chains.local import look_at_stages, run_locally
from megatron_rfft.chains.local_estimate import Estimate
from megatron_rfft.chains.local_progress import Display, Shown, View
from megatron_rfft.chains.machine import Ending, Free, Machine, Share, choose
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.supervise import descendants
from tests.chains.tiny_chain import TinyChain
from tests.conftest import ROOT
from tests.slurm.cluster import wait_until

NOTED = "echo {0} begins >>events; {1}; echo {0} ends >>events"
"""A task that says when it begins and ends."""


def noted(name: str, script: str = "sleep 0.3") -> str:
    return NOTED.format(name, script)


def meets(other: str, own: str) -> str:
    """A script that fails if another task does not run at the same time."""
    return f"touch met-{own}; for i in $(seq 600); do [ -e met-{other} ] && break; sleep 0.1; done; [ -e met-{other} ]"


def run(folder: Path, stages: dict, cores: dict | None = None, machine: Machine | None = None) -> int:
    return run_locally(TinyChain(folder, stages, cores), Path("chain.yaml"), machine or Machine(2))


def events(folder: Path) -> list[str]:
    return (folder / "events").read_text().splitlines()


def test_tasks_run_side_by_side_as_cores_allow_and_after_those_they_need(tmp_path):
    stages = {
        "generate": [[noted("a", meets("b", "a")), {}], [noted("b", meets("a", "b")), {}]],
        "pretrain": [[noted("both cores"), {"generate": [0, 1]}]],
        "adapt": [
            [noted("c", meets("d", "c")), {"pretrain": [0]}],
            [noted("d", meets("c", "d")), {"pretrain": [0]}],
        ],
        "report": [[noted("report"), {"adapt": [0, 1]}]],
    }
    assert run(tmp_path, stages, {"pretrain": 2}) == 0
    seen = events(tmp_path)
    assert {*seen[:2]} == {"a begins", "b begins"}
    assert seen[4:6] == ["both cores begins", "both cores ends"]
    assert {*seen[6:8]} == {"c begins", "d begins"}
    assert seen[-2:] == ["report begins", "report ends"]
    assert run(tmp_path, stages, {"pretrain": 2}) == 0
    assert events(tmp_path) == seen  # what is done is left alone


def test_one_core_runs_one_at_a_time(tmp_path):
    stages = {"generate": [[noted("a"), {}], [noted("b"), {}]], "report": [["true", {"generate": [0, 1]}]]}
    assert run(tmp_path, stages, {"generate": 2}, Machine(1)) == 0
    assert events(tmp_path) == ["a begins", "a ends", "b begins", "b ends"]


def test_what_a_task_is_told_of_cores_and_gpus(tmp_path):
    script = 'echo "$WORKERS $OMP_NUM_THREADS ${CUDA_VISIBLE_DEVICES-unset}"\n'
    stages = {
        "generate": [[script, {}]],
        "pretrain": [[script, {"generate": [0]}]],
        "evaluate": [
            [script + meets("b", "a"), {"pretrain": [0]}],
            [script + meets("a", "b"), {"pretrain": [0]}],
        ],
        "report": [[script, {"evaluate": [0, 1]}]],
    }
    assert run(tmp_path, stages, {"generate": 4, "pretrain": 2, "evaluate": 3}, Machine(8, ["5", "7"])) == 0
    told = {file.stem: file.read_text().split("\n")[1] for file in (tmp_path / "chain").glob("*.log")}
    assert told.pop("evaluate-local_0")[-1] != told.pop("evaluate-local_1")[-1]
    assert told == {"generate-local_0": "4 1 ", "pretrain-local_0": "2 1 5,7", "report-local_0": "1 1 "}


def test_a_failure_holds_up_what_needs_it_alone(tmp_path, capsys):
    stages = {
        "adapt": [["echo error: the disk is full; seq 30; exit 3", {}], [noted("other"), {}]],
        "convert": [[noted("never"), {"adapt": [0]}], [noted("its own"), {"adapt": [1]}]],
        "report": [[noted("report"), {"convert": [0, 1]}]],
    }
    assert run(tmp_path, stages) == 1
    assert events(tmp_path) == ["other begins", "other ends", "its own begins", "its own ends"]
    told = capsys.readouterr().err
    assert f"adapt task 0: failed (exit code 3), the end of {tmp_path}/chain/adapt-local_0.log:" in told
    assert "    error: the disk is full\n    19\n" in told
    assert "failed: adapt task 0, and 2 that need what it makes were not started" in told
    seen = [(stage.stage, stage.state, stage.tasks) for stage in look_at_stages(TinyChain(tmp_path, stages))]
    assert seen == [("adapt", "failed", [0]), ("convert", "missing", [0]), ("report", "missing", [0])]
    stages["adapt"][0][0] = noted("fixed")
    assert run(tmp_path, stages) == 0
    assert events(tmp_path)[4:] == [
        f"{name} {what}" for name in ("fixed", "never", "report") for what in ("begins", "ends")
    ]
    assert {stage.state for stage in look_at_stages(TinyChain(tmp_path, stages))} == {"done"}


def test_a_task_that_leaves_nothing_has_failed(tmp_path):
    stages = {"report": [["exit 0", {}]]}
    assert run(tmp_path, stages) == 1


def test_a_changed_command_of_a_done_task_is_noted(tmp_path, capsys):
    stages = {"generate": [["true", {}]], "report": [["true", {"generate": [0]}]]}
    assert run(tmp_path, stages) == 0
    stages["generate"][0][0] = "echo other"
    (tmp_path / "report-0").unlink()
    assert run(tmp_path, stages) == 0
    assert "what is finished stays: generate task 0;" in capsys.readouterr().err


class InAProcess:
    """``stages`` of which one sleeps, by a process of its own."""

    def __init__(self, folder: Path, stages: dict):
        self.folder, self.file = folder, folder / "stages.json"
        self.file.write_text(json.dumps(stages))

    def start(self) -> subprocess.Popen:
        words = [sys.executable, "-m", "tests.chains.tiny_chain", str(self.folder), str(self.file), "2"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)

    def started(self) -> subprocess.Popen:
        """One whose sleeping task runs, with a process in a session of its own."""
        process = self.start()
        wait_until((self.folder / "pid").exists, "the task to begin")
        return process


SLEEPER = "[ -e go ] || { setsid sleep 600 & echo $! >pid.new; mv pid.new pid; wait; }"


@pytest.fixture
def chain(tmp_path):
    stages = {
        "generate": [["echo once >>generated", {}]],
        "pretrain": [[SLEEPER, {"generate": [0]}]],
        "report": [["true", {"pretrain": [0]}]],
    }
    return InAProcess(tmp_path, stages)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_killed_it_takes_its_tasks_along_and_continues(chain, tmp_path):
    process = chain.started()
    sleeper = int((tmp_path / "pid").read_text())
    assert is_alive(sleeper)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not is_alive(sleeper), "the task's processes to end")
    (tmp_path / "go").touch()
    again = chain.start()
    assert again.wait(60) == 0, again.stderr.read()
    assert (tmp_path / "generated").read_text() == "once\n"


def test_a_second_one_is_refused_while_the_first_runs(chain, tmp_path):
    process = chain.started()
    try:
        with pytest.raises(UserError, match="another process"):
            run_locally(TinyChain(tmp_path, json.loads(chain.file.read_text())), Path("chain.yaml"), Machine(2))
    finally:
        process.terminate()
    assert process.wait(60) == 75
    assert "stopped; run the same command again to go on" in process.stderr.read()
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the task's processes to end")


def test_jobs_on_slurm_are_not_run_a_second_time_here(tmp_path, monkeypatch):
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text("#!/bin/sh\necho '5|0|RUNNING|None|1:00|node1'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    entry = {"job": 5, "tasks": [0], "dependency": "", "submitted": 0}
    state = {"format": 2, "config": "chain.yaml", "stages": {"report": {"jobs": [entry]}}}
    (tmp_path / "chain.json").write_text(json.dumps(state))
    with pytest.raises(UserError, match=r"jobs of .* \(report\) are queued or running on Slurm"):
        run(tmp_path, {"report": [["true", {}]]})


def test_all_processes_of_a_command_end_with_it(tmp_path):
    """Those that it leaves behind, too."""
    others = descendants(os.getpid())  # of tests before this one
    words = [sys.executable, "-m", "megatron_rfft.common.supervise", str(os.getpid())]
    script = f"setsid sleep 600 & echo $! >{tmp_path}/pid; exit 7"
    done = subprocess.run([*words, "bash", "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)
    assert done.returncode == 7
    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert set(descendants(os.getpid())) <= set(others)


def test_a_task_that_needs_more_is_not_passed_for_ever():
    shares = {"pretrain": Share(2), "adapt": Share(1)}
    free = Free(Machine(2))
    assert choose([("adapt", 0)], free, shares.get) == [(("adapt", 0), [])]
    assert choose([("pretrain", 0), ("adapt", 1)], free, shares.get) == []
    free.give_back(Share(1), [])
    assert choose([("pretrain", 0), ("adapt", 1)], free, shares.get) == [(("pretrain", 0), [])]


def test_a_small_task_fills_the_time_in_which_a_larger_one_waits():
    shares, seconds = {"pretrain": Share(2), "adapt": Share(1)}, {("adapt", 2): 50.0, ("adapt", 3): 5.0}
    ready = [("pretrain", 0), ("adapt", 1), ("adapt", 2), ("adapt", 3)]

    def begun(seconds_left: float | None) -> list[int]:
        free = Free(Machine(2))
        free.take(Share(1), [])
        endings = [Ending(seconds_left, Share(1), [])]
        return [number for (_, number), _ in choose(ready, free, shares.get, lambda: endings, seconds.get)]

    assert [begun(60.0), begun(20.0), begun(1.0), begun(None)] == [[2], [3], [], []]


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), max_size=4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), max_size=6),
)
def test_who_fills_a_gap_holds_up_nobody(cores, wanted, running, smaller):
    """The first task to wait begins when it would if there were no others behind it."""

    def begins(behind: list[tuple[int, int]]) -> float:
        shares = {f"behind-{number}": Share(count) for number, (count, _) in enumerate(behind)}
        shares |= {"first": Share(min(wanted, cores))}
        seconds = {(name, 0): float(behind[number][1]) for number, name in enumerate(shares) if name != "first"}
        free, ends, now = Free(Machine(cores)), [], 0.0
        for count, end in running:
            if count <= free.cores:
                free.take(Share(count), [])
                ends.append((float(end), Share(count)))
        waiting = [("first", 0), *((name, 0) for name in shares if name != "first")]
        while True:
            endings = [Ending(end - now, share, []) for end, share in ends]
            for key, _ in choose(waiting, free, shares.get, lambda known=endings: known, seconds.get):
                if key == ("first", 0):
                    return now
                waiting.remove(key)
                ends.append((now + seconds[key], shares[key[0]]))
            ends.sort(key=lambda end: end[0])
            now, share = ends.pop(0)
            free.give_back(share, [])

    assert begins(smaller) == begins([])


def test_gpus_are_shared_evenly_and_leave_cores_to_others():
    shares = {"evaluate": Share(1, 1), "convert": Share(1)}
    free = Free(Machine(8, ["0", "1"], tasks_per_gpu=2))
    chosen = choose([("evaluate", number) for number in range(5)] + [("convert", 0)], free, shares.get)
    assert [gpus for _, gpus in chosen] == [["0"], ["1"], ["0"], ["1"], []]
    assert [key for key, _ in chosen][-1] == ("convert", 0)


def test_vllm_has_its_gpus_alone():
    shares = {"adapt": Share(1, 1), "evaluate": Share(1, 1, alone=True)}
    free = Free(Machine(8, ["0", "1"], tasks_per_gpu=3))
    first = choose([("evaluate", 0), ("adapt", 0), ("adapt", 1)], free, shares.get)
    assert [gpus for _, gpus in first] == [["0"], ["1"], ["1"]]
    assert choose([("evaluate", 1)], free, shares.get) == []
    free.give_back(shares["evaluate"], ["0"])
    assert choose([("evaluate", 1)], free, shares.get) == [(("evaluate", 1), ["0"])]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_block_below_what_happened(tmp_path):
    terminal = Terminal()
    display = Display(tmp_path, terminal)
    view = View([Shown("adapt", 1, 3, 0, [("meta", "step 3 of 9")])], 61.0, 125.0, False)
    display.show(view)
    block = ["adapt  1 of 3", "         meta: step 3 of 9", "1 of 3 tasks done, 1:01 gone, more than 2:05 left"]
    assert terminal.getvalue().splitlines()[1:] == block
    display.line("adapt meta: done in 3 s")
    shown = terminal.getvalue().split("\x1b[3F\x1b[J")[1].splitlines()
    assert shown == ["adapt meta: done in 3 s", *block]


def test_time_is_estimated_by_what_has_ended(tmp_path):
    stages = {"generate": [["true", {}]] * 4, "report": [["true", {"generate": [0, 1, 2, 3]}]]}
    chain = TinyChain(tmp_path, stages)
    estimate = Estimate(chain.stages, {"generate": {"task 0": 10.0}, "report": {"task 0": 5.0}})
    machine = Machine(2)
    waiting = [("generate", 2), ("generate", 3), ("report", 0)]
    left = estimate.left(machine, lambda stage: Share(1), {("generate", 1): (4.0, [])}, waiting)
    assert (left.seconds, left.complete) == (4.0 + 10.0 + 5.0, True)
    unknown = Estimate(chain.stages, {}).left(machine, lambda stage: Share(1), {}, waiting)
    assert (unknown.seconds, unknown.complete) == (0.0, False)
