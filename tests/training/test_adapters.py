"""Adapters in the real trainer: the same losses in every layout, exact resume, small checkpoints, merging."""

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, torchrun
from tests.training.conftest import small_config

STEPS, KILL = 4, 3
PISSA = ["--adapter.method", "pissa", "--adapter.rank", "4"]
LORA = ["--adapter.method", "lora", "--adapter.rank", "4"]
LAYOUTS = {
    "DP2": [],
    "PP2": ["--parallel.pipeline", "2"],
    "TP2": ["--parallel.tensor", "2"],
    "TP2 + SP": ["--parallel.tensor", "2", "--parallel.sequence", "true"],
}


def job(name: str, config: Path, folder: Path, *overrides: str, attempts=(None,), output: str = "") -> dict:
    place = folder / (output or name).replace(" ", "")
    overrides = (*overrides, "--run.output", str(place))
    return {"name": name, "config": str(config), "overrides": overrides, "attempts": attempts}


def run_jobs(world_size: int, folder: Path, jobs: list[dict]) -> dict:
    file = folder / f"jobs-{world_size}-{jobs[0]['name'].replace(' ', '')}.json"
    file.write_text(json.dumps(jobs))
    torchrun(world_size, ROOT / "tests/training/worker.py", file)
    return json.loads(file.with_suffix(".results.json").read_text())


@pytest.fixture(scope="session")
def adapted(small_data, tmp_path_factory):
    """(folder, results by run): a base trained for two steps, and adapters on it."""
    folder = tmp_path_factory.mktemp("adapters")
    config = folder / "small.yaml"
    values = small_config(small_data.prefix, folder / "run")
    values["run"]["steps"] = STEPS
    values["checkpoint"]["interval"] = 2
    values["optimizer"] |= {"lr": 1e-2, "warmup_steps": 0, "weight_decay": 0.0}
    config.write_text(yaml.safe_dump(values))
    base = str(folder / "base/checkpoints/step-00000002")
    on_base = ("--checkpoint.load", base)
    merged = ("--checkpoint.load", str(folder / "pissa/checkpoints/step-00000004"))
    results = run_jobs(
        1,
        folder,
        [
            job("base", config, folder, attempts=[KILL]),
            job("whole", config, folder, *on_base, attempts=[1]),
            job("lora", config, folder, *on_base, *LORA),
            job("pissa", config, folder, *on_base, *PISSA),
            job("pissa resumed", config, folder, *on_base, *PISSA, attempts=[KILL, None]),
            job("next", config, folder, *merged, attempts=[1]),
            job("next pissa", config, folder, *merged, *PISSA, attempts=[KILL, None]),
        ],
    )
    jobs = [job(f"pissa {name}", config, folder, *on_base, *PISSA, *layout) for name, layout in LAYOUTS.items()]
    jobs.append(job("lora TP2 + SP", config, folder, *on_base, *LORA, *LAYOUTS["TP2 + SP"], attempts=[KILL, None]))
    for name, attempts in (("TP2 + SP", [KILL]), ("PP2", [None])):
        jobs.append(
            job(f"moved {name}", config, folder, *on_base, *PISSA, *LAYOUTS[name], attempts=attempts, output="moved")
        )
    results |= run_jobs(2, folder, jobs)
    return folder, results
