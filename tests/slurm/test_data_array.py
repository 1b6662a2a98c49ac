"""slurm/data_prep.sbatch as an array on a real cluster: the bytes of one process, also when a task is lost half-way."""

import sys
from pathlib import Path

import pytest

from megatron_rfft.data.documents import DatasetPaths
from tests.conftest import ROOT, run_python
from tests.slurm.cluster import wait_until

NUM_PARTS = 24
PRESET = f"tasks: coin_flip,length_int\nlengths: 2-12\nsamples: 300\nform: rule\nnum_shards: {NUM_PARTS}\n"


@pytest.fixture(scope="module")
def job(small_data, tmp_path_factory):
    """What to submit, and the data set that a single process makes of it."""
    folder = tmp_path_factory.mktemp("array")
    (folder / "small.yaml").write_text(PRESET)
    made_alone = folder / "alone" / "data"
    words = ["--preset", folder / "small.yaml", "--tokenizer", small_data.tokenizer, "--output", made_alone]
    run_python("data_prep/tokenize_corpus.py", *words)
    variables = {
        "PRESET": folder / "small.yaml",
        "TOKENIZER": small_data.tokenizer,
        "PYTHON": sys.executable,
        "PYTHONPATH": ROOT,
    }
    return variables, made_alone


def submit(cluster, array: str, output: Path, variables: dict) -> int:
    """Submit the template with small tasks, each of a share of the parts."""
    small = ("--cpus-per-task=1", "--mem=1G", f"--chdir={ROOT}", f"--output={output.parent}/log-%a.txt")
    return cluster.sbatch(f"--array={array}", *small, "slurm/data_prep.sbatch", **variables, OUTPUT=output)


def files_of(prefix: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(prefix.parent)): file.read_bytes()
        for file in prefix.parent.rglob("*")
        if file.is_file() and not file.name.startswith("log-")
    }


def test_an_array_makes_the_bytes_of_one_process(cluster, job, tmp_path):
    variables, made_alone = job
    number = submit(cluster, "0-3", tmp_path / "data", variables)
    assert cluster.wait(number) == {str(task): "COMPLETED" for task in range(4)}
    assert files_of(tmp_path / "data") == files_of(made_alone)
    logs = [(tmp_path / f"log-{task}.txt").read_text() for task in range(4)]
    assert sum("wrote" in log for log in logs) >= 1
    assert all("wrote" in log or "others are missing" in log for log in logs)


def test_a_task_killed_half_way_is_submitted_again_and_keeps_what_is_whole(cluster, job, tmp_path):
    variables, made_alone = job
    output = tmp_path / "data"
    parts = DatasetPaths(output).parts

    def finished(task: int) -> dict[Path, tuple[int, int]]:
        """The parts that a task of four has made, as files on the disk."""
        found = {}
        for number in range(task, NUM_PARTS, 4):
            if (proof := parts / f"part-{number:06d}.json").exists():
                for file in (proof, proof.with_suffix(".bin"), proof.with_suffix(".rows")):
                    found[file] = (file.stat().st_ino, file.stat().st_mtime_ns)
        return found

    first = submit(cluster, "1", output, {**variables, "PARTS": 4})
    wait_until(lambda: finished(1), "the first part of the task")
    cluster.cancel(f"{first}_1")
    assert cluster.wait(first) == {"1": "CANCELLED"}
    whole = finished(1)
    assert 0 < len(whole) < 3 * NUM_PARTS // 4
    again = submit(cluster, "0-2", output, {**variables, "PARTS": 4})
    assert set(cluster.wait(again).values()) == {"COMPLETED"}
    assert {file: finished(1)[file] for file in whole} == whole  # the one of four that is missing lets them be seen
    last = submit(cluster, "3", output, {**variables, "PARTS": 4})
    assert cluster.wait(last) == {"3": "COMPLETED"}
    assert files_of(output) == files_of(made_alone)
