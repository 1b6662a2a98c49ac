"""``precision.deterministic``: kernels and collectives that add in a fixed order, so that GPUs repeat a run exactly."""

import os

import torch

from megatron_rfft.common.errors import UserError

# What libraries read when they are first used: the value that is set, then others that do as well.
_VARIABLES = {
    # Transformer Engine: attention's backward pass otherwise adds in whatever order its blocks end.
    "NVTE_ALLOW_NONDETERMINISTIC_ALGO": ("0",),
    # cuBLAS: products on several streams otherwise share a workspace.
    "CUBLAS_WORKSPACE_CONFIG": (":4096:8", ":16:8"),
    # NCCL: without the switches' own sums (NVLS), as Megatron-LM's deterministic mode asks.
    "NCCL_ALGO": ("^NVLS,NVLSTree", "^NVLS", "Ring", "Tree", "CollnetDirect", "CollnetChain"),
}


def check_environment() -> None:
    """Raise UserError if a variable of the environment asks for the opposite."""
    for name, values in _VARIABLES.items():
        found = os.environ.get(name, values[0])
        if found.lower() not in [value.lower() for value in values]:
            raise UserError(
                f"precision.deterministic is true, but the environment has {name}={found}; unset it, or set it to "
                f"{values[0]}"
            )


def set_determinism(wanted: bool) -> None:
    """Have torch, cuBLAS, NCCL and Transformer Engine repeat themselves, or not; before any of them computes.

    Where torch has no such kernel, it warns and goes on.
    """
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    if wanted:
        torch.utils.deterministic.fill_uninitialized_memory = False  # a cost, and nothing here reads such memory
        for name, values in _VARIABLES.items():
            os.environ.setdefault(name, values[0])
