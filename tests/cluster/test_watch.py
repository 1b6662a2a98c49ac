"""What tools/watch.py makes of Slurm's answers and the files of runs."""

import json
import os

import pytest

from megatron_rfft.cluster.watch import as_values, format_views, look
from megatron_rfft.common.errors import UserError

QUEUE = "11|N/A|RUNNING|None|3:00:00|node1\n12|0-1|PENDING|Dependency|1-00:00:00|\n99|N/A|RUNNING|None|1:00|node2\n"


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A squeue that knows jobs 11, 12 and somebody's 99, and a Slurm without accounting."""
    for name, script in {"squeue": f"printf '{QUEUE}'".replace("\n", "\\n"), "sacct": "exit 1"}.items():
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


def test_a_chain_on_one_screen(queue, tmp_path):
    run = tmp_path / "run"
    train(run / "pretrain", 200)
    stages = {"tokenize": {"job": 10}, "pretrain": {"job": 11}, "adapt": {"job": 12}}
    (run / "chain.json").write_text(json.dumps({"stages": stages}))
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
        "adapt 12 PENDING (Dependency)",
    ]
    assert as_values(views)["stages"][1]["training"][0]["seconds_left"] == 3600


def test_a_training_run_of_its_own(queue, tmp_path):
    train(tmp_path / "run", 3)
    (tmp_path / "run" / "slurm" / "11" / "0").mkdir(parents=True)
    (view,) = look(tmp_path / "run")
    assert (view.job, view.states, view.training[0].step) == (11, {"RUNNING": 1}, 3)


def test_a_folder_that_is_neither_is_refused(queue, tmp_path):
    with pytest.raises(UserError, match="give the folder"):
        look(tmp_path)
