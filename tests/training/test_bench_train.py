"""tools/bench_train.py as a process; the committed record meets the goal."""

import json

from tests.conftest import ROOT, run_python


def test_a_record_is_measured_of_two_loops_that_train_one_model(tmp_path):
    path = tmp_path / "train.json"
    run_python("tools/bench_train.py", "--size", "tiny", "--steps", 3, "--warmup", 1, "--output", path)
    record = json.loads(path.read_text())
    assert {"command", "date", "commit", "machine", "goal", "goal_met", "results"} == set(record)
    (result,) = record["results"]
    ours, bare = result["first_losses"]
    assert abs(ours - bare) < 1e-5
    assert result["pairs"] == 3
    for clock in ("wall", "processor"):
        figures = result[clock]
        assert figures["ratio_interval"][0] <= figures["ratio"] <= figures["ratio_interval"][1]
        assert figures["trainer_seconds"] > 0


def test_the_committed_record_meets_the_goal():
    record = json.loads((ROOT / "tools/benchmarks/train.json").read_text())
    (compute,) = [row for row in record["results"] if row["size"] == "compute"]
    assert compute["wall"]["ratio"] <= 1.03
    assert record["goal_met"]
