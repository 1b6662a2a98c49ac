"""The quickstart in its short form: killed half-way it continues; done, it leaves everything as it is."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMMAND = ["bash", "examples/quickstart/run.sh", "--short"]


def artifacts(output: Path) -> dict[str, int]:
    """Modification times of what the stages made."""
    patterns = ("corpus/*/*.jsonl", "data/*.bin", "*/checkpoints/step-*/manifest.json", "*/hf/*", "*/evaluation/*.json")
    found = [path for pattern in patterns for path in output.glob(pattern)]
    return {str(path.relative_to(output)): path.stat().st_mtime_ns for path in found}


def test_killed_it_continues_and_done_it_rests(tmp_path):
    output = tmp_path / "quickstart"
    killed = subprocess.Popen([*COMMAND, str(output)], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(output.glob("lean/checkpoints/step-*/manifest.json")):
        assert time.monotonic() < deadline, "no checkpoint appeared"
        assert killed.poll() is None, "the quickstart ended too soon"
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()

    done = subprocess.run([*COMMAND, str(output)], cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert str(output / "report/report.html") in done.stdout
    for form in ("lean", "direct"):
        results = json.loads((output / form / "evaluation/results.json").read_text())
        cells = [cell for task in results["tasks"].values() for cell in task["cells"].values()]
        assert all(cell["n"] == 4 for cell in cells)
        steps = [json.loads(line)["step"] for line in (output / form / "metrics.jsonl").read_text().splitlines()]
        assert steps == sorted(set(steps))

    before = artifacts(output)
    again = subprocess.run([*COMMAND, str(output)], cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert again.returncode == 0, again.stderr[-3000:]
    assert artifacts(output) == before
    assert "step/s" not in again.stderr, "a finished model was trained again"


@pytest.mark.slow
def test_the_model_that_follows_the_rule_reaches_90_percent_at_trained_lengths():
    """The quickstart's claim, at full length: about 15 minutes, or seconds if runs/quickstart is there."""
    done = subprocess.run(
        ["bash", "examples/quickstart/run.sh"], cwd=ROOT, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((ROOT / "runs/quickstart/lean/evaluation/results.json").read_text())
    reached = []
    for name, task in results["tasks"].items():
        trained = [cell for length, cell in task["cells"].items() if int(length) in task["trained_lengths"]]
        assert len(trained) >= 3
        if all(cell["accuracy"] >= 0.9 for cell in trained):
            reached.append(name)
    assert len(reached) >= 2, reached
