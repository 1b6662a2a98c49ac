"""The variables that a layout wants on GPUs, in one place; before torch is loaded, for libraries read them only once.

What a user has set stays. The values are those of NVIDIA's published recipes for Hopper; none of them has been measured
here. ``precision.deterministic`` sets some more (determinism.py), Slurm's network is in ``slurm/train.sbatch``.
"""

import os

from megatron_rfft.training.config import TrainConfig

_ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
"""Two names of one variable: the old one is known to every torch."""
_SM_MARGIN = "16"
"""Multiprocessors that norms leave to the collectives that run beside them."""


def layout_environment(config: TrainConfig, world_size: int) -> dict[str, str]:
    """Each variable with the value that a run of ``config`` on ``world_size`` GPUs wants."""
    parallel = config.parallel
    # One queue to the GPU starts kernels in the order of the program, which puts tensor- and context-parallel traffic
    # before the product that hides it. Elsewhere that order only holds others up; 8 is CUDA's own default.
    ordered = parallel.tensor > 1 or parallel.context > 1
    wanted = {
        "CUDA_DEVICE_MAX_CONNECTIONS": "1" if ordered else "8",
        # Less memory lost in gaps between tensors of changing sizes; the planned memory counts on it.
        _ALLOCATOR[0]: "expandable_segments:True",
    }
    if world_size > 1:
        wanted |= {f"NVTE_{way}_LAYERNORM_SM_MARGIN": _SM_MARGIN for way in ("FWD", "BWD")}
    return wanted


def set_environment(config: TrainConfig) -> None:
    """Set what is not set yet."""
    wanted = layout_environment(config, int(os.environ.get("WORLD_SIZE", "1")))
    if any(name in os.environ for name in _ALLOCATOR):
        del wanted[_ALLOCATOR[0]]
    for name, value in wanted.items():
        os.environ.setdefault(name, value)


def priority_groups(config: TrainConfig) -> list[str]:
    """megatron-core's groups whose collectives go before others on the GPU: computing waits for them, while those of
    the data-parallel ranks run beside it.
    """
    parallel = config.parallel
    sizes = {"tp": parallel.tensor, "cp": parallel.context, "pp": parallel.pipeline}
    return [name for name, size in sizes.items() if size > 1]
