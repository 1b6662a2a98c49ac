"""Tensor-parallel traffic under the matrix products: Transformer Engine's user buffers, as megatron-core expects them.

megatron-core tells its layers to use such buffers (``tp_comm_overlap``), and leaves it to the training script to make
them. What is asked of Transformer Engine here was read in its sources, and has never been run.
"""

import torch

_made = False


def make_user_buffers(tokens: int, hidden: int, tensor_parallel: int, *, fp8: bool, also_bf16: bool) -> None:
    """Make the buffers of this rank; collective over all ranks, once the process group exists.

    ``tokens`` of a micro-batch on one context-parallel rank, before tensor parallelism splits them: every one must have
    as many. ``also_bf16``: some layers stay in bf16 beside those in ``fp8``.
    """
    from transformer_engine.pytorch.module import base

    global _made
    mode = base.UserBufferQuantizationMode
    modes = [mode.FP8] if fp8 else [mode.NONE]
    if fp8 and also_bf16:
        modes.append(mode.NONE)
    base.initialize_ub(
        shape=[tokens, hidden],
        tp_size=tensor_parallel,
        quantization_modes=modes,
        dtype=torch.bfloat16,
        bootstrap_backend="nccl",
    )
    _made = True


def free_user_buffers() -> None:
    """Let them go if there are any, so that another layout can have its own."""
    global _made
    if _made:
        from transformer_engine.pytorch.module import base

        base.destroy_ub()
        _made = False
