"""Runs with adapters on one base, in several layouts, each measured once for all tests."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.conftest import ROOT, torchrun

STEPS, KILL = 3, 2
PISSA = ["--adapter.method", "pissa", "--adapter.rank", "4"]
LORA = ["--adapter.method", "lora", "--adapter.rank", "4"]
BF16 = ["--precision.dtype", "bf16"]
TP2_SP = ["--parallel.tensor", "2", "--parallel.sequence", "true"]
QWEN3 = ["--model.architecture", "qwen3", "--model.head_dim", "16"]
PP2 = ["--parallel.pipeline", "2"]
TP2 = ["--parallel.tensor", "2"]


@dataclass(frozen=True)
class AdapterRuns:
    """Where the runs lie, and [loss, gradient norm, learning rate] of each step by run and attempt."""

    folder: Path
    config: Path
    results: dict[str, list[list[list[float]]]]

    def checkpoint(self, run: str, step: int = STEPS) -> Path:
        """A checkpoint of ``run``."""
        return self.folder / run.replace(" ", "") / f"checkpoints/step-{step:08d}"

    def losses(self, run: str, attempt: int = 0) -> list[float]:
        """Loss of each step."""
        return [row[0] for row in self.results[run][attempt][:-1]]


class Jobs:
    """Collects what one world of processes trains in turn."""

    def __init__(self, config: Path, folder: Path):
        self.config, self.folder, self.jobs = config, folder, []

    def add(self, name: str, *overrides: str, attempts: tuple = (None,), output: str | None = None) -> None:
        """Train ``name``; each attempt ends after so many steps (None: at the end) and goes on where the last ended."""
        place = self.folder / (output or name).replace(" ", "")
        job = {"name": name, "config": str(self.config), "attempts": attempts}
        self.jobs.append({**job, "overrides": [*overrides, "--run.output", str(place)]})

    def run(self, world_size: int) -> dict:
        file = self.folder / f"jobs-{world_size}.json"
        file.write_text(json.dumps(self.jobs))
        torchrun(world_size, ROOT / "tests/training/worker.py", file)
        return json.loads(file.with_suffix(".results.json").read_text())


def adapter_runs(values: dict, folder: Path) -> AdapterRuns:
    """Train a base, then adapters on it: alone, in layouts of two, resumed, and on top of adapters."""
    config = folder / "adapters.yaml"
    values["run"]["steps"] = STEPS
    values["model"] |= {"num_layers": 2, "vocab_size": 768}  # no padded rows, which an export would strip
    values["batch"] |= {"global_batch_size": 4, "micro_batch_size": 2}
    values["optimizer"] |= {"lr": 1e-2, "warmup_steps": 0, "weight_decay": 0.0}
    values["checkpoint"]["interval"] = KILL
    config.write_text(yaml.safe_dump(values))
    runs = AdapterRuns(folder, config, {})
    on_base = ["--checkpoint.load", str(runs.checkpoint("base", KILL))]
    on_pissa = ["--checkpoint.load", str(runs.checkpoint("pissa"))]
    on_qwen3 = ["--checkpoint.load", str(runs.checkpoint("qwen3 base", KILL)), *QWEN3]
    alone = Jobs(config, folder)
    alone.add("base", attempts=(KILL,))
    alone.add("whole", *on_base, attempts=(1,))
    alone.add("lora", *on_base, *LORA)
    alone.add("pissa", *on_base, *PISSA)
    alone.add("pissa resumed", *on_base, *PISSA, attempts=(KILL, None))
    alone.add("bf16", *on_base, *PISSA, *BF16)
    alone.add("bf16 resumed", *on_base, *PISSA, *BF16, attempts=(KILL, None))
    alone.add("whole on pissa", *on_pissa, attempts=(1,))
    alone.add("pissa on pissa", *on_pissa, *PISSA, attempts=(KILL, None))
    alone.add("qwen3 base", *QWEN3, attempts=(KILL,))
    alone.add("qwen3", *on_qwen3, *PISSA)
    runs.results.update(alone.run(1))
    pairs = Jobs(config, folder)
    pairs.add("pissa DP2", *on_base, *PISSA)
    pairs.add("pissa PP2", *on_base, *PISSA, *PP2)
    pairs.add("lora TP2", *on_base, *LORA, *TP2)
    pairs.add("pissa TP2 + SP", *on_base, *PISSA, *TP2_SP, attempts=(KILL,), output="moved")
    pairs.add("pissa moved to PP2", *on_base, *PISSA, *PP2, output="moved")
    pairs.add("qwen3 TP2 + SP", *on_qwen3, *PISSA, *TP2_SP)
    runs.results.update(pairs.run(2))
    return runs
