"""The example for one GPU in its short form, on whatever device this machine has."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_all_arms_reach_the_report_and_a_second_run_trains_nothing(tmp_path):
    command = ["bash", "examples/one-gpu/run.sh", "--short", str(tmp_path / "run")]
    options = {"cwd": ROOT, "env": {**os.environ, "PYTHON": sys.executable}, "capture_output": True, "text": True}
    done = subprocess.run(command, **options, timeout=1200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = json.loads((tmp_path / "run/report/results.json").read_text())
    assert list(results["runs"]) == ["vanilla RFFT", "direct answer", "Meta-RFFT"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("checkpoints/*/manifest.json")}
    assert len(before) >= 4
    again = subprocess.run(command, **options, timeout=1200)
    assert again.returncode == 0, again.stderr[-3000:]
    assert {path: path.stat().st_mtime_ns for path in before} == before
