"""Ranks constructed in a process apart (construct.py), which this one need not load megatron-core for."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.training.config import TrainConfig


@dataclass(frozen=True)
class ConstructedRank:
    """Bytes counted on one rank."""

    rank: int
    parameters: int
    """Of the model: the flat buffer of the trained ones with its padding, and frozen ones."""
    gradients: int
    """Of the flat gradient buffer."""
    optimizer: int
    """Main weights and both moments of this rank's shard."""
    activations: int | None
    """Kept for the backward pass of one micro-batch through the rank's layers, if counted: an upper bound where fused
    kernels are absent (on a CPU they are)."""
    peak: int | None = None
    """On a GPU: most bytes allocated at once in the training steps, logits and workspaces included."""
    reserved: int | None = None
    """On a GPU: most bytes that the allocator held, gaps included."""


def construct_ranks(config: TrainConfig, world_size: int, ranks: list[int]) -> list[ConstructedRank]:
    """Like :func:`construct_rank`, in a process apart, on fake tensors. Raises CommandFailed with its last words."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(yaml.safe_dump(config.as_dict()), encoding="utf-8")
        command = [sys.executable, "-m", "megatron_rfft.planning.construct", "--config", str(file)]
        command += ["--world-size", str(world_size), "--ranks", ",".join(map(str, ranks))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"constructing ranks {ranks} of {world_size} failed: {done.stderr.strip()[-500:]}")
    return [ConstructedRank(**values) for values in json.loads(done.stdout.splitlines()[-1])]
