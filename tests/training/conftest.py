"""One torchrun a world size: every layout's losses, uninterrupted and resumed, measured once for all tests."""

import json
from pathlib import Path

import pytest
import yaml

from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.training.checkpoint_files import CHECKPOINT_KIND, MANIFEST, checkpoint_name
from tests.conftest import ROOT, torchrun
from tests.training.adapter_runs import AdapterRuns, adapter_runs

STEPS, CHECKPOINT = 4, 2

PADDED = ["--data.document_multiple", "4"]
"""Context parallelism cuts each document into four pieces; its reference packs the same."""

DOCUMENTS = ["--data.packed=false", "--batch.global_batch_size=9", *PADDED]
"""Steps of nine documents, which no number of ranks divides."""

LLAMA = ["--model.architecture=llama", "--model.rope_scaling_factor=8", "--model.tie_embeddings=false"]

QWEN3 = ["--model.architecture=qwen3", "--model.head_dim=16", *PADDED]
"""With norms of Q and K, and heads twice as wide as hidden_size / num_attention_heads."""

LAYOUTS = {
    1: {
        "one process": [],
        "one process, bf16": ["--precision.dtype", "bf16"],
        "one process, Llama": LLAMA,
        "one process, Qwen3": QWEN3,
        "one process, padded documents": PADDED,
        "one process, by documents": DOCUMENTS,
        "selective recompute": ["--memory.recompute", "selective"],
        "full recompute": ["--memory.recompute", "full"],
        "selective recompute of a layer": ["--memory.recompute=selective", "--memory.recompute_layers=1"],
    },
    2: {
        "DP2": [],
        "DP2, whole optimizer": ["--optimizer.distributed", "false"],
        "DP2, no overlap": ["--parallel.overlap", "false"],
        "PP2": ["--parallel.pipeline", "2"],
        "PP2 x VPP2": ["--parallel.pipeline", "2", "--parallel.virtual_pipeline", "2"],
        "PP2, full recompute of a layer": [
            "--parallel.pipeline=2",
            "--memory.recompute=full",
            "--memory.recompute_layers=1",
        ],
        "TP2": ["--parallel.tensor", "2"],
        "TP2 + SP": ["--parallel.tensor", "2", "--parallel.sequence", "true"],
        "TP2, deterministic": ["--parallel.tensor", "2", "--precision.deterministic", "true"],
        "CP2": ["--parallel.context", "2", *PADDED],
        "DP2, by documents": DOCUMENTS,
        "PP2 x VPP2, by documents": ["--parallel.pipeline=2", "--parallel.virtual_pipeline=2", *DOCUMENTS],
        "TP2, Qwen3": ["--parallel.tensor", "2", *QWEN3],
        "TP2 + SP, Qwen3": ["--parallel.tensor", "2", "--parallel.sequence", "true", *QWEN3],
        "PP2 x VPP2, Qwen3": ["--parallel.pipeline", "2", "--parallel.virtual_pipeline", "2", *QWEN3],
    },
    4: {
        "TP2 x PP2": ["--parallel.tensor", "2", "--parallel.pipeline", "2"],
        "TP2 x CP2 + SP": ["--parallel.tensor=2", "--parallel.context=2", "--parallel.sequence=true", *PADDED],
        "TP2 x CP2 + SP, by documents": [
            "--parallel.tensor=2",
            "--parallel.context=2",
            "--parallel.sequence=true",
            *DOCUMENTS,
        ],
        "TP2 x CP2, Qwen3": ["--parallel.tensor=2", "--parallel.context=2", *QWEN3],
    },
}
NAMES = [name for names in LAYOUTS.values() for name in names]


GOLDEN = {
    name: Path(__file__).parent / "golden" / f"{name.removeprefix('one process').strip(', ').lower() or 'qwen2'}.txt"
    for name in ("one process", "one process, bf16", "one process, Llama", "one process, Qwen3")
}
"""Losses on record: step, loss and gradient norm of each step."""


def reference_of(name: str) -> str | None:
    """The layout of one process that computes the same; None where there is none."""
    overrides = next(layouts[name] for layouts in LAYOUTS.values() if name in layouts)
    if name.startswith("one process"):
        return None
    for suffix in ("Qwen3", "by documents"):
        if name.endswith(suffix):
            return f"one process, {suffix}"
    return "one process, padded documents" if PADDED[0] in overrides else "one process"


def small_config(prefix: Path, output: Path) -> dict:
    """A four-layer model of 60,000 parameters on the small data set."""
    return {
        "run": {"output": str(output), "steps": STEPS},
        "model": {
            "num_layers": 4,
            "hidden_size": 32,
            "ffn_hidden_size": 96,
            "num_attention_heads": 4,
            "num_query_groups": 2,
            "init_std": 0.15,
        },
        "data": {"train": [str(prefix)], "sequence_length": 384},
        "batch": {"global_batch_size": 4, "micro_batch_size": 2},
        "optimizer": {"lr": 3e-3, "warmup_steps": 2},
        "precision": {"dtype": "fp32"},
        "checkpoint": {"interval": CHECKPOINT, "keep": 9},
        "logging": {"interval": 1},
    }


def pretend_checkpoint(run: Path, step: int = 3) -> None:
    """Let the folder look as after ``step``, without weights."""
    write_manifest(run / "checkpoints" / checkpoint_name(step) / MANIFEST, CHECKPOINT_KIND, [], step=step)


@pytest.fixture(scope="session")
def config_file(small_data, tmp_path_factory) -> Path:
    """The YAML file of the small run."""
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(yaml.safe_dump(small_config(small_data.prefix, path.parent / "run")))
    return path


@pytest.fixture(scope="session")
def runs(config_file, tmp_path_factory) -> dict[str, dict]:
    """By layout: ``whole`` (all steps) and ``resumed`` rows (from its checkpoint on), and the folder of checkpoints."""
    folder = tmp_path_factory.mktemp("layouts")
    measured = {}
    for world_size, layouts in LAYOUTS.items():
        jobs = []
        for name, overrides in layouts.items():
            whole, resumed = (folder / name.replace(" ", "") / kind for kind in ("whole", "resumed"))
            for output in (whole, resumed):
                changed = [*overrides, "--run.output", str(output)]
                job = {"name": f"{name}/{output.name}", "config": str(config_file), "overrides": changed}
                jobs.append({**job, "attempts": [None]})
            kept = f"checkpoints/step-{CHECKPOINT:08d}"  # what a run has that is killed after its first checkpoint
            (resumed / kept).parent.mkdir(parents=True)
            (resumed / kept).symlink_to(whole / kept)
        file = folder / f"jobs-{world_size}.json"
        file.write_text(json.dumps(jobs))
        torchrun(world_size, ROOT / "tests/training/worker.py", file)
        results = json.loads(file.with_suffix(".results.json").read_text())
        for name in layouts:
            (whole,), (resumed,) = (results[f"{name}/{kind}"] for kind in ("whole", "resumed"))
            path = folder / name.replace(" ", "") / "whole" / "checkpoints"
            measured[name] = {"whole": whole, "resumed": resumed, "checkpoints": path}
    return measured


@pytest.fixture(scope="session")
def adapted(small_data, tmp_path_factory) -> AdapterRuns:
    """Runs with adapters in several layouts."""
    folder = tmp_path_factory.mktemp("adapters")
    return adapter_runs(small_config(small_data.prefix, folder / "run"), folder)
