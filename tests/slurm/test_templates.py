"""The sbatch templates as bash runs them, with the variables that Slurm sets."""

import os
import subprocess
import sys

import pytest

from megatron_rfft.data.documents import Documents
from tests.conftest import ROOT

TEMPLATES = sorted((ROOT / "slurm").glob("*.sbatch"))


def run_task(template: str, check: bool = True, **variables) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, **variables}
    done = subprocess.run(
        ["bash", ROOT / "slurm" / template], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_bash_reads_the_template_and_slurm_its_options(template):
    subprocess.run(["bash", "-n", template], check=True)
    options = [line for line in template.read_text().splitlines() if line.startswith("#SBATCH")]
    assert any("--time=" in line for line in options)
    assert all(line.split()[1].startswith("--") for line in options)


def test_an_array_makes_one_data_set_and_a_lost_task_is_made_up_for(small_data, tmp_path):
    preset = tmp_path / "small.yaml"
    preset.write_text("tasks: coin_flip\nlengths: 2-4\nsamples: 40\nform: lean\nnum_shards: 4\n")
    output = tmp_path / "data"
    common = {
        "PRESET": str(preset),
        "TOKENIZER": str(small_data.tokenizer),
        "OUTPUT": str(output),
        "SLURM_ARRAY_TASK_COUNT": "3",
    }
    for task in ("0", "2"):  # the second one is lost
        assert "others are missing" in run_task("data_prep.sbatch", **common, SLURM_ARRAY_TASK_ID=task).stdout
    again = {**common, "SLURM_ARRAY_TASK_COUNT": "1", "PARTS": "3"}  # sbatch --array=1 with PARTS=3
    assert "wrote" in run_task("data_prep.sbatch", **again, SLURM_ARRAY_TASK_ID="1").stdout
    assert len(Documents(output)) == 120


@pytest.mark.parametrize(
    ("left_out", "message"),
    [("TOKENIZER", "set TOKENIZER"), ("OUTPUT", "set OUTPUT"), ("INPUT", "set INPUT or PRESET")],
)
def test_a_missing_variable_is_named(tmp_path, left_out, message):
    given = {"TOKENIZER": "t", "OUTPUT": "o", "INPUT": "i", "SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1"}
    done = run_task("data_prep.sbatch", check=False, **{k: v for k, v in given.items() if k != left_out})
    assert done.returncode != 0
    assert message in done.stderr
