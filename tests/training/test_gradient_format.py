"""Gradients in bf16: another run than with fp32, near it, and resumed bit for bit as well."""

import json

import pytest

from tests.conftest import ROOT, torchrun
from tests.training.conftest import CHECKPOINT, STEPS


@pytest.fixture(scope="module")
def losses(config_file, tmp_path_factory) -> dict[str, list[list[float]]]:
    """By format: the rows of a whole run; and those of one that was killed and resumed."""
    folder = tmp_path_factory.mktemp("gradients")
    jobs = []
    for name, attempts in {"fp32": [None], "bf16": [None], "resumed": [CHECKPOINT + 1, None]}.items():
        form = "fp32" if name == "fp32" else "bf16"
        overrides = ["--precision.dtype", "bf16", "--optimizer.gradients", form, "--run.output", str(folder / name)]
        jobs.append({"name": name, "config": str(config_file), "overrides": overrides, "attempts": attempts})
    file = folder / "jobs.json"
    file.write_text(json.dumps(jobs))
    torchrun(2, ROOT / "tests/training/worker.py", file)
    results = json.loads(file.with_suffix(".results.json").read_text())
    return {name: rows[-1] for name, rows in results.items()}


def test_bf16_gradients_train_about_as_fp32_ones_do(losses):
    fp32, bf16 = ([row[0] for row in losses[name][:-1]] for name in ("fp32", "bf16"))
    assert len(bf16) == STEPS
    assert bf16 == pytest.approx(fp32, rel=0.02)
    assert bf16 != fp32


def test_a_resumed_run_repeats_the_whole_one(losses):
    assert losses["resumed"] == losses["bf16"][CHECKPOINT:]
