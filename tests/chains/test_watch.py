"""What tools/watch.py makes of Slurm's answers and the files of runs."""

import json
import os

import pytest

from megatron_rfft.chains.jobs import submission_lock
from megatron_rfft.chains.watch import advice, as_values, curves, format_views, look
from megatron_rfft.common.errors import UserError

QUEUE = """\
11|N/A|RUNNING|None|3:00:00|node1
12|0|PENDING|Dependency|1-00:00:00|
12|1|PENDING|Dependency|1-00:00:00|
13|0|COMPLETED|None|1:00|node1
13|1|FAILED|NonZeroExitCode|1:00|node2
14|0|PENDING|Dependency|1:00|
14|1|CANCELLED|DependencyNeverSatisfied|1:00|
15|N/A|CANCELLED|DependencyNeverSatisfied|1:00|
99|N/A|RUNNING|None|1:00|node2
"""


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A squeue that knows jobs 11, 12 and somebody's 99, and a Slurm without accounting."""
    for name, script in {"squeue": f"printf '{QUEUE}'", "sacct": "exit 1"}.items():
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def train(folder, step: int) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("run: {steps: 800}\n")
    row = {"step": step, "loss": 0.25, "tokens_per_second": 120_000.0, "seconds_per_step": 6.0}
    (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n" + '{"step": 4')  # cut while it is written


def submitted(run, **jobs: int) -> None:
    run.mkdir(exist_ok=True)
    stages = {name: {"jobs": [{"job": job}]} for name, job in jobs.items()}
    (run / "chain.json").write_text(json.dumps({"format": 2, "config": "/a/chain.yaml", "stages": stages}))


def test_a_chain_on_one_screen(queue, tmp_path):
    run = tmp_path / "run"
    train(run / "pretrain", 200)
    submitted(run, tokenize=10, pretrain=11, adapt=12)
    (run / "chain").mkdir()
    (run / "chain" / "tokenize-10_0.log").write_text("error: no room to write\nsrun: error: node1: task 0: Exited\n")
    views = look(run)
    lines = format_views(views).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "stage job limit in state",
        "tokenize 10 FORGOTTEN",
        "error: no room to write",
        "pretrain 11 3:00:00 RUNNING",
        "pretrain: step 200 of 800, loss 0.2500, 120,000 tokens/s, 1:00 h left",
        "adapt 12 2 PENDING (Dependency)",
    ]
    assert as_values(views)["stages"][1]["training"][0]["seconds_left"] == 3600


def test_where_the_time_goes_and_a_slow_rank_are_shown(queue, tmp_path):
    train(tmp_path / "pretrain", 200)
    seconds = {
        "train": 60.0,
        "data": 0.0,
        "checkpoint": 0.0,
        "validation": 20.0,
        "other": 0.0,
        "restart": 20.0,
        "again": 0,
    }
    row = {"step": 200, "loss": 0.25, "tokens_per_second": 120_000.0, "seconds_per_step": 6.0, "goodput": 0.6}
    row |= {"time": 0.0, "wall": {"seconds": seconds, "restarts": 1, "steps_again": 0}}
    (tmp_path / "pretrain" / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    slow = {"step": 190, "rank": 13, "host": "node2", "seconds": 7.0, "median": 6.0, "ratio": 1.167}
    (tmp_path / "pretrain" / "ranks.jsonl").write_text(json.dumps(slow) + "\n")
    submitted(tmp_path, pretrain=11)
    shown = format_views(look(tmp_path)).splitlines()[-1]
    assert "1:20 h left, goodput 60.0% (validation 20.0%, restart 20.0%), rank 13 (node2) computes 1.17 x" in shown


def test_what_failed_is_told_apart_from_what_was_not_started_for_it(queue, tmp_path):
    run = tmp_path / "my runs"
    submitted(run, adapt=13, convert=14, report=15)
    views = look(run)
    assert [view.failed for view in views] == [["13_1"], [], []]
    lines = format_views(views, advice(run, views)).splitlines()
    assert [" ".join(line.split()) for line in lines[2:]] == [
        "convert 14 PENDING, CANCELLED (Dependency)",
        "report 15 CANCELLED (a stage before it failed)",
        f"failed: adapt (13_1), and what needs it was not started; see {run}/chain/adapt-13_1.log",
        f"fix it and go on with: rfft submit --config /a/chain.yaml --run '{run}'",
    ]


def test_nodes_that_were_left_out_are_shown(queue, tmp_path):
    submitted(tmp_path, adapt=12)
    noted = tmp_path / "adapt" / "meta" / "add_int" / "slurm" / "12" / "excluded"
    noted.parent.mkdir(parents=True)
    noted.write_text("node2\tgpus: 7 GPUs are visible (start 1)\n")
    assert "excluded: node2 (gpus: 7 GPUs are visible (start 1))" in format_views(look(tmp_path))


def test_the_state_of_another_version_is_refused(queue, tmp_path):
    (tmp_path / "chain.json").write_text(json.dumps({"stages": {"adapt": {"job": 12}}}))
    with pytest.raises(UserError, match="written by another version"):
        look(tmp_path)


def test_a_chain_on_this_machine(tmp_path):
    """Without Slurm; while another process holds it, and after."""
    run = tmp_path / "run"
    train(run / "adapt" / "meta" / "add_int" / "seed-2", 200)
    train(run / "adapt" / "meta" / "add_int" / "seed-1", 800)
    stage = {"tasks": 4, "array": True, "done": 1, "running": [1], "failed": [2]}
    done = {"tasks": 1, "array": False, "done": 1, "running": [], "failed": []}
    stages = {"generate": done, "adapt": stage, "report": done | {"done": 0}}
    (run / "chain").mkdir()
    (run / "chain" / "local.json").write_text(json.dumps({"config": "/a/chain.yaml", "stages": stages}))
    (run / "chain" / "adapt-local_2.log").write_text("error: no room to write\n")
    with submission_lock(run):
        views = look(run)
    lines = format_views(views, advice(run, views)).splitlines()
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "generate local COMPLETED",
        "adapt local COMPLETED, RUNNING, FAILED, PENDING",
        "meta/add_int/seed-2: step 200 of 800, loss 0.2500, 120,000 tokens/s, 1:00 h left",
        "error: no room to write",
        "report local PENDING",
        f"failed: adapt (local_2), and what needs it was not started; see {run}/chain/adapt-local_2.log",
        f"fix it and go on with: rfft submit --config /a/chain.yaml --run {run} --local",
    ]
    assert look(run)[1].states["STOPPED"] == 1


def test_a_training_run_of_its_own(queue, tmp_path):
    train(tmp_path / "run", 3)
    (tmp_path / "run" / "slurm" / "11" / "0").mkdir(parents=True)
    (view,) = look(tmp_path / "run")
    assert (view.jobs, view.states, view.training[0].step) == ([11], {"RUNNING": 1}, 3)


def test_the_curves_of_a_training_are_pointed_to(queue, tmp_path):
    run = tmp_path / "my run"
    assert curves([]) == ""
    train(run, 3)
    (run / "slurm" / "11" / "0").mkdir(parents=True)
    assert curves(look(run)) == f"curves of a training: rfft report --training '{run}' --follow"
    (run / "training.html").touch()
    assert curves(look(run)) == f"curves: {run}/training.html"


def test_a_folder_that_is_neither_is_refused(queue, tmp_path):
    with pytest.raises(UserError, match="give the folder"):
        look(tmp_path)
