"""What a run really runs on: said once, when its first step has made every choice."""

import importlib
import sys

import torch

from megatron_rfft.mcore import ON_GPU, parallel_state, te_version
from megatron_rfft.models.build import switched_off, with_te
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.throughput import peak_tflops
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer

_TE_ATTENTION = "transformer_engine.pytorch.attention.dot_product_attention.dot_product_attention"
UNFUSED = "Transformer Engine's unfused"
"""The attention that keeps all weights in memory: what it takes where it can do nothing else."""


class Announcement(Callback):
    """After the first step of a start, a line on rank 0's stderr: the kind of layers, the attention that is computed,
    and what was asked for and is off.
    """

    order = Order.SHOWING

    def __init__(self) -> None:
        self._said = False

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if not self._said and torch.distributed.get_rank() == 0:
            print(describe(trainer), file=sys.stderr, flush=True)
        self._said = True


def describe(trainer: Trainer) -> str:
    """The line; Transformer Engine chooses its attention in the first forward pass."""
    te = with_te(trainer.transformer_config)
    layers = f"Transformer Engine {te_version()}" if te else "megatron-core's own (local)"
    attention = _te_attention() if te else "torch's scaled_dot_product_attention"
    ranks = parallel_state.get_data_parallel_world_size(with_context_parallel=True)
    off = what_is_off(trainer.config, ranks, attention) + switched_off(trainer.transformer_config)
    return f"layers: {layers}; attention: {attention}; asked for and off: {', '.join(off) or 'nothing'}"


def what_is_off(config: TrainConfig, data_parallel: int, attention: str) -> list[str]:
    """What ``config`` asks for and this run does without, each with the reason; ``data_parallel`` counts ranks over
    which gradients are summed.
    """
    off = []
    if data_parallel == 1:
        keys = {"parallel.overlap": config.parallel.overlap, "optimizer.distributed": config.optimizer.distributed}
        off += [f"{key} (one data-parallel rank)" for key, asked in keys.items() if asked]
    if attention.startswith(UNFUSED):
        off.append("flash and fused attention (Transformer Engine can't use them here)")
    if ON_GPU and config.logging.peak_tflops is None and peak_tflops() is None:
        off.append("MFU (this GPU's peak is not known: set logging.peak_tflops)")
    return off


def _te_attention() -> str:
    chosen = getattr(importlib.import_module(_TE_ATTENTION), "_attention_backends", {})
    if chosen.get("use_flash_attention"):
        return f"FlashAttention {chosen.get('flash_attention_backend') or ''}".strip()
    if chosen.get("use_fused_attention"):
        return f"cuDNN's fused ({chosen.get('fused_attention_backend')})"
    return UNFUSED if chosen.get("use_unfused_attention") else "Transformer Engine's, which one it does not say"
