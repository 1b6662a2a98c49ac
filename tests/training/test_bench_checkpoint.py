"""The benchmark of checkpoints runs, and leaves nothing but its record."""

import json
import os

import pytest

from tests.conftest import run_python


@pytest.mark.slow
def test_a_measured_round_leaves_its_record_alone(tmp_path):
    (tmp_path / "work").mkdir()
    small = ("--layers", 1, "--hidden-size", 256, "--rounds", 1, "--folder", tmp_path / "work")
    run_python("tools/bench_checkpoint.py", *small, "--output", tmp_path / "record.json")
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["gigabytes"] > 13e-9 * record["parameters"]
    (row,) = record["rounds"]
    assert min(row["cp_seconds"], row["load_seconds"]) > 0
    assert 0 < row["blocked_seconds"] < row["save_seconds"]
    assert os.listdir(tmp_path / "work") == []
