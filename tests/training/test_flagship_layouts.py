"""The layouts of the recipes for 32B, as 32 processes on this machine.

They have the numbers of one process, resume exactly, and continue each other's checkpoints.
"""

import json
import threading
from pathlib import Path

import psutil
import pytest
import yaml

from tests.conftest import ROOT, run_python
from tests.training.adapter_runs import PISSA
from tests.training.conftest import CHECKPOINT, STEPS, small_config

DATA_PARALLEL, PIPELINE = "TP8 x DP4 + SP", "TP8 x PP2 x VPP2 x DP2 + SP"
ADAPTERS = "PiSSA, TP4 x DP8 + SP"
LAYOUTS = {
    DATA_PARALLEL: ["--parallel.tensor=8", "--parallel.sequence=true"],
    PIPELINE: [
        "--parallel.tensor=8",
        "--parallel.sequence=true",
        "--parallel.pipeline=2",
        "--parallel.virtual_pipeline=2",
    ],
    ADAPTERS: ["--parallel.tensor=4", "--parallel.sequence=true", "--batch.micro_batch_size=1", *PISSA],
}
"""Those of examples/qwen2.5-32b, on half of its GPUs."""
ALONE = {DATA_PARALLEL: "one process", PIPELINE: "one process", ADAPTERS: "one process, PiSSA"}
DIVISIBLE = {"hidden_size": 64, "ffn_hidden_size": 192, "num_attention_heads": 8, "num_query_groups": 8}
LIMIT_GIB = 20

pytestmark = pytest.mark.slow


class Jobs:
    """What worlds of processes train in turn, each run in a folder of its own."""

    def __init__(self, folder: Path, config: Path):
        self.folder, self.config = folder, config
        self.rows: dict[str, list] = {}
        self.peak_gib = 0.0

    def job(self, name: str, overrides: list[str], begun_by: str | None = None) -> dict:
        """Train ``name``; ``begun_by`` is the run whose first checkpoint it continues."""
        if begun_by:
            kept = self.checkpoint(name, CHECKPOINT)
            kept.parent.mkdir(parents=True)
            kept.symlink_to(self.checkpoint(begun_by, CHECKPOINT))
        changed = [*overrides, f"--run.output={self.output(name)}"]
        return {"name": name, "config": str(self.config), "overrides": changed, "attempts": [None]}

    def run(self, processes: int, jobs: list[dict]) -> None:
        file = self.folder / f"jobs-{processes}-{len(self.rows)}.json"
        file.write_text(json.dumps(jobs))
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(ended,))
        watch.start()
        try:
            launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes)
            run_python(*launcher, ROOT / "tests/training/worker.py", file, timeout=3600)
        finally:
            ended.set()
            watch.join()
        self.rows |= {name: rows for name, (rows,) in json.loads(file.with_suffix(".results.json").read_text()).items()}

    def output(self, name: str) -> Path:
        return self.folder / name.replace(" ", "").replace(",", "-")

    def checkpoint(self, name: str, step: int) -> Path:
        return self.output(name) / f"checkpoints/step-{step:08d}"

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(2):
            total = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    total += process.memory_full_info().pss  # what processes share is counted once
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            self.peak_gib = max(self.peak_gib, total / 2**30)


@pytest.fixture(scope="module")
def jobs(small_data, tmp_path_factory) -> Jobs:
    """Rows of [loss, gradient norm, learning rate] of each run: whole, resumed, and continued in another layout."""
    folder = tmp_path_factory.mktemp("flagship")
    config = small_config(small_data.prefix, folder / "run")
    config["model"] |= DIVISIBLE
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    jobs = Jobs(folder, file)
    jobs.run(1, [jobs.job("one process", [])])
    load = f"--checkpoint.load={jobs.checkpoint('one process', STEPS)}"
    jobs.run(1, [jobs.job("one process, PiSSA", [*PISSA, load])])
    layouts = {name: [*overrides, load] if name == ADAPTERS else overrides for name, overrides in LAYOUTS.items()}
    together = [jobs.job(f"{name}, whole", overrides) for name, overrides in layouts.items()]
    together += [jobs.job(f"{name}, resumed", each, f"{name}, whole") for name, each in layouts.items()]
    for name, other in ((DATA_PARALLEL, PIPELINE), (PIPELINE, DATA_PARALLEL)):
        together.append(jobs.job(f"{name}, changed", layouts[name], f"{other}, whole"))
    jobs.run(32, together)
    return jobs


@pytest.mark.parametrize("name", LAYOUTS)
def test_32_processes_have_the_losses_of_one(jobs, name):
    reference = [row[0] for row in jobs.rows[ALONE[name]][:STEPS]]
    assert [row[0] for row in jobs.rows[f"{name}, whole"][:-1]] == pytest.approx(reference, abs=1e-5)


@pytest.mark.parametrize("name", [DATA_PARALLEL, PIPELINE])
def test_a_checkpoint_continues_in_the_other_layout(jobs, name):
    reference = [row[0] for row in jobs.rows["one process"][CHECKPOINT:STEPS]]
    assert [row[0] for row in jobs.rows[f"{name}, changed"][:-1]] == pytest.approx(reference, abs=1e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_32_processes_resume_exactly(jobs, name):
    assert jobs.rows[f"{name}, resumed"] == jobs.rows[f"{name}, whole"][CHECKPOINT:]


def test_32_processes_fit_on_a_small_machine(jobs):
    assert 1 < jobs.peak_gib < LIMIT_GIB
