"""The same numbers in every layout, and resume to the last bit: real processes, gloo, real schedules."""

import json

import pytest

from tests.conftest import ROOT, torchrun
from tests.training.conftest import CHECKPOINT, GOLDEN, NAMES, STEPS, reference_of


@pytest.mark.parametrize("name", [name for name in NAMES if reference_of(name)])
def test_losses_agree_with_one_process(runs, name):
    reference, ours = runs[reference_of(name)]["whole"][:STEPS], runs[name]["whole"][:STEPS]
    assert len(ours) == STEPS
    for expected, row in zip(reference, ours, strict=True):
        assert row[0] == pytest.approx(expected[0], abs=1e-5)
        assert row[1] == pytest.approx(expected[1], rel=1e-4)
        assert row[2] == expected[2]


@pytest.mark.parametrize("name", GOLDEN)
def test_losses_are_those_on_record(runs, name):
    """A changed number is a changed model: to accept it, run ``python -m tests.training.write_golden``."""
    recorded = [line.split() for line in GOLDEN[name].read_text().splitlines() if not line.startswith("#")]
    tolerance = 2e-2 if "bf16" in name else 1e-5  # what another CPU's kernels may round differently
    assert len(recorded) == STEPS
    for (step, loss, grad_norm), row in zip(recorded, runs[name]["whole"], strict=False):
        assert row[0] == pytest.approx(float(loss), abs=tolerance), step
        assert row[1] == pytest.approx(float(grad_norm), rel=10 * tolerance), step


def test_the_model_learns(runs):
    losses = [row[0] for row in runs["one process"]["whole"][:STEPS]]
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.parametrize("name", NAMES)
def test_resumed_steps_equal_uninterrupted_ones_exactly(runs, name):
    # Losses, gradient norms, learning rates of the remaining steps, and the sum of the final weights.
    assert runs[name]["resumed"] == runs[name]["whole"][CHECKPOINT:]


def test_a_checkpoint_of_any_layout_continues_in_another(runs, config_file, tmp_path):
    """Resume TP2 x PP2 and DP2 checkpoints in other layouts; losses stay those of one process."""
    jobs = []
    sources = ("TP2 x PP2", []), ("DP2", ["--parallel.tensor", "2"]), ("PP2", []), ("PP2 x VPP2", [])
    for source, overrides in sources:
        output = tmp_path / source.replace(" ", "")
        (output / "checkpoints").mkdir(parents=True)
        name = f"step-{CHECKPOINT:08d}"
        (output / "checkpoints" / name).symlink_to(runs[source]["checkpoints"] / name)
        changed = [*overrides, "--run.output", str(output), "--checkpoint.interval", "100"]
        jobs.append({"name": source, "config": str(config_file), "overrides": changed, "attempts": [None]})
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps(jobs))
    torchrun(2, ROOT / "tests/training/worker.py", file)
    results = json.loads(file.with_suffix(".results.json").read_text())
    reference = runs["one process"]["whole"][CHECKPOINT:STEPS]
    for source, (rows,) in results.items():
        losses = [row[0] for row in rows[:-1]]
        assert losses == pytest.approx([row[0] for row in reference], abs=1e-5), source
