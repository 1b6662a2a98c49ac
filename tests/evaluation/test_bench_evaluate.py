"""The benchmark of evaluation on a tiny model: what it records."""

import json

import pytest

from tests.conftest import ROOT, run_python

BENCH = ROOT / "tools/bench_evaluate.py"


@pytest.mark.vllm
@pytest.mark.slow
def test_both_sides_answer_the_same_and_are_compared(tiny_model, tmp_path):
    questions = ("--tasks", "coin_flip", "--lengths", "1-6", "--samples", "5", "--form", "direct")
    options = ("--model", tiny_model, *questions, "--rounds", "2", "--output", tmp_path / "record.json")
    done = run_python(BENCH, *options, check=False)
    record = json.loads((tmp_path / "record.json").read_text())
    assert done.returncode == (0 if record["goal_met"] else 1)
    assert record["tokens_per_round"] > 0
    for name in ("answering", "cpu", "whole"):
        low, high = record[name]["ratio_interval"]
        assert 0 < low <= record[name]["ratio"] <= high
        assert len(record[name]["pair_ratios"]) == 2


def test_wrong_input_is_one_line(tmp_path):
    done = run_python(BENCH, "--model", tmp_path, "--rounds", "1", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--rounds is 1" in done.stderr
    done = run_python(BENCH, "--model", tmp_path / "absent", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no such directory" in done.stderr
