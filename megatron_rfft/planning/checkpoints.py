"""What checkpoints take: memory of the hosts, seconds without training, bytes by rank, and whether a signal is enough.

Bytes follow from what each rank holds (``mcore/optimizer_shards.py``): its shard of the weights and of the optimizer's
states, and an equal share of what is whole on all. Seconds are these bytes over rates: of the file system, which is
given, and of the GPU's link to its host, of which half is assumed.
"""

from dataclasses import dataclass

from megatron_rfft.models.config import ModelConfig
from megatron_rfft.planning.gpus import GPUS_PER_NODE, Gpu
from megatron_rfft.planning.layout import Layout, Workload
from megatron_rfft.planning.memory import Parameter, stage_parameters, state_bytes

NOTICE = 300
"""Seconds from USR1 to the end of a job in ``slurm/train.sbatch``."""
FILE_SYSTEM = 3.0
"""GB/s that a file system takes from a job, unless another rate is given."""
_HOST_SHARE = 0.5  # of the link to the host: eight GPUs copy at once


@dataclass(frozen=True)
class CheckpointPlan:
    """Checkpoints of a layout."""

    bytes: int
    """Of one checkpoint."""
    rank_bytes: int
    """Of it, what the rank writes that writes most. Its copy in host memory is as large."""
    node_bytes: int
    """Pinned host memory of a full node for these copies."""
    blocked_seconds: float
    """Training stands still: every rank copies its share. The first save of a run also plans."""
    save_seconds: float
    """Until a checkpoint is on disk; training goes on meanwhile."""
    resume_seconds: float
    """Reading and verifying a checkpoint, once: what a rank has verified it finds in its node's page cache."""
    signal_seconds: float
    """From a signal to the last checkpoint: the step under way, the copy, the save."""

    @property
    def fits_notice(self) -> bool:
        """The last checkpoint is there before Slurm ends the job."""
        return self.signal_seconds <= NOTICE


def plan_checkpoints(
    model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu, step_seconds: float, file_system: float = FILE_SYSTEM
) -> CheckpointPlan:
    """Estimate checkpoints on a file system of ``file_system`` GB/s, of steps that take ``step_seconds``."""
    whole = stage_parameters(model, work, Layout(), 0)
    trained = sum(one.numel for one in whole if one.trained)
    total = _saved_elements(whole, work) * work.width + trained * _state_width(work)
    rank = max(_rank_bytes(model, work, layout, stage) for stage in range(layout.pipeline))
    blocked = rank / (gpu.host * _HOST_SHARE * 1e9)
    save = total / (file_system * 1e9)
    ranks = min(layout.gpus, GPUS_PER_NODE)
    return CheckpointPlan(total, rank, ranks * rank, blocked, save, save, step_seconds + blocked + save)


def _rank_bytes(model: ModelConfig, work: Workload, layout: Layout, stage: int) -> int:
    """The share of the first tensor-parallel rank, which also writes what all of them have."""
    parameters = stage_parameters(model, work, layout, stage)
    trained = sum(one.numel for one in parameters if one.trained)
    held = trained // layout.shards
    if work.distributed_optimizer:
        _, _, states = state_bytes(model, work, layout, stage)
        held = states // (12 if work.dtype == "bf16" else 8)
    others = (_saved_elements(parameters, work) - trained) // layout.shards
    return held * (_state_width(work) + work.width) + others * work.width


def _state_width(work: Workload) -> int:
    """Bytes of the optimizer's states by parameter: two moments and, but for a plain optimizer of fp32 weights, these
    weights in fp32.
    """
    return 12 if work.distributed_optimizer or work.dtype == "bf16" else 8


def _saved_elements(parameters: list[Parameter], work: Workload) -> int:
    """Weights in a checkpoint; those of adapters hold these alone."""
    own = (".adapter", ".start")
    return sum(one.numel for one in parameters if work.adapter_rank == 0 or one.name.endswith(own))
