"""One rank of 64 on one GPU, with messages that go nowhere: its peak beside the planned one."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import torch
import yaml

from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.diagnostics.checks.settings import QWEN, TINY, Refused, Settings, run_config

TOLERANCE = 0.05
WORLD_SIZE = 64
LAYOUTS = {"tp8": (8, 1), "tp4-pp4": (4, 4), "tp2-pp8": (2, 8)}
"""Tensor- and pipeline-parallel sizes of Qwen2.5-32B on 64 GPUs that fit 80 GB by plan; sequence parallel, the rest
is data parallel."""


def check_memory(settings: Settings, layout: str, precision: str) -> dict[str, Any]:
    """Rank 0 of 64 of Qwen2.5-32B: CUDA's peak in two training steps against the plan, without the plan's allowance for
    what lies outside torch. On a CPU nothing is trained: parameters, gradients and optimizer states are counted (there
    is no FP8 there: Refused).
    """
    if importlib.util.find_spec("megatron_rfft.planning") is None:
        raise Refused("this version has no megatron_rfft.planning")
    from megatron_rfft.planning.layout import layout_from_config, workload_from_config
    from megatron_rfft.planning.memory import rank_memory

    tensor, pipeline = LAYOUTS[layout]
    model: Any = QWEN["32b"]
    if settings.tiny:
        model = {**TINY, "num_layers": 8, "hidden_size": 64, "num_attention_heads": 8, "num_query_groups": 8}
        model["vocab_size"] = 1024
    config = run_config(
        settings,
        model,
        precision,
        name="memory",
        steps=2,
        parallel={"tensor": tensor, "pipeline": pipeline, "sequence": True},
        data={"sequence_length": 64 if settings.tiny else 4096},
        batch={"global_batch_size": 32},
    )
    resolved = config.model.resolve(0)
    planned = rank_memory(resolved, workload_from_config(config), layout_from_config(config, WORLD_SIZE), 0)
    counted = _construct(settings, config)
    states = ("parameters", "gradients", "optimizer")
    exact = all(counted[name] == getattr(planned, name) for name in states)
    result = {
        "layout": layout,
        "precision": precision,
        "planned": asdict(planned),
        "counted": counted,
        "states_equal": exact,
    }
    if counted["peak"] is None:
        return result
    expected = planned.total - planned.overhead
    return {
        **result,
        "peak_gib": round(counted["peak"] / 2**30, 2),
        "planned_gib": round(expected / 2**30, 2),
        "peak_over_planned": round(counted["peak"] / expected, 4),
        "within": abs(counted["peak"] / expected - 1) <= TOLERANCE,
    }


def _construct(settings: Settings, config) -> dict[str, Any]:
    """The rank's bytes from a process of its own: its stand-ins for a world of 64 last as long as it does."""
    settings.work.mkdir(parents=True, exist_ok=True)
    file = settings.work / "memory.yaml"
    file.write_text(yaml.safe_dump(config.as_dict()), encoding="utf-8")
    command = [sys.executable, "-m", "megatron_rfft.planning.construct", "--config", str(file)]
    command += ["--world-size", str(WORLD_SIZE), "--ranks", "0"]
    command += ["--device", "cuda" if torch.cuda.is_available() else "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CommandFailed(f"the rank could not be constructed: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout.splitlines()[-1])[0]
