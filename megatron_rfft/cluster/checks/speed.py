"""Tokens a second, TFLOP/s and MFU of a training step on true layer shapes, and a table of its matrix products."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from megatron_rfft.cluster.checks.numerics import linear_layer, linear_pass
from megatron_rfft.cluster.checks.settings import PRECISIONS, QWEN, Refused, Settings, run_config, trainer_of
from megatron_rfft.cluster.checks.synthetic import RandomSequences
from megatron_rfft.models.config import ModelConfig

PEAK_TFLOPS = {"H100 PCIe": 756.0, "H100 NVL": 835.0, "H100": 989.4, "H200": 989.4, "A100": 312.0, "L40S": 362.0}
"""Dense BF16 peaks from NVIDIA's data sheets, by a part of the device's name; MFU is stated against them in FP8 too."""


def peak_tflops(device: str) -> float | None:
    """The dense BF16 peak of a device, None where it is not known."""
    return next((peak for name, peak in PEAK_TFLOPS.items() if name in device), None)


def step_flops(model: ModelConfig, boundaries: np.ndarray, num_sequences: int) -> float:
    """Floating-point operations of forward and backward over sequences whose documents end at ``boundaries``.

    Six per token and weight of a matrix (the embedding is looked up, not multiplied), and causal attention within each
    document; nothing for recomputation, norms and the optimizer: model FLOPs, as MFU wants them.
    """
    width = model.num_attention_heads * model.head_dim
    attention = model.hidden_size * (width + 2 * model.num_query_groups * model.head_dim) + width * model.hidden_size
    layer = attention + 3 * model.hidden_size * model.ffn_hidden_size
    weights = model.num_layers * layer + model.padded_vocab_size * model.hidden_size
    lengths = np.diff(boundaries).astype(float)
    # Scores and the weighted sum: 2 x 2 x length^2 x width, half of it masked, times 3 for the backward pass.
    scores = 6.0 * model.num_layers * width * float((lengths**2).sum())
    return num_sequences * (6.0 * weights * float(lengths.sum()) + scores)


def check_speed(settings: Settings, shape: str, precision: str) -> dict[str, Any]:
    """Training steps of a few layers of a Qwen2.5 shape on one device, sequences of 4,096 tokens, 8 a step."""
    model = settings.shape(shape)
    length, batch, warmup, steps = (64, 2, 1, 2) if settings.tiny else (4096, 8, 2, 4)
    dataset = RandomSequences(length, model.vocab_size)
    config = run_config(
        settings,
        model,
        precision,
        name="speed",
        steps=warmup + steps,
        data={"sequence_length": length},
        batch={"global_batch_size": batch},
        optimizer={"lr": 1e-5},
        # Of two layers, the first and the last are all: what is measured here is the speed of the layers between.
        precision={} if precision == "bf16" else {"fp8_first_last_bf16": False},
    )
    torch.cuda.reset_peak_memory_stats()
    with trainer_of(config, dataset, initialize=False) as trainer:
        _draw_weights(trainer)
        seconds = [_timed(trainer.train_step)[0] for _ in range(warmup + steps)][warmup:]
    median = statistics.median(seconds)
    tflops = step_flops(model, dataset.boundaries, batch) / median / 1e12
    peak = peak_tflops(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
    return {
        "layers": model.num_layers,
        "parameters": model.num_parameters(),
        "sequence_length": length,
        "sequences_per_step": batch,
        "step_seconds": [round(value, 4) for value in seconds],
        "tokens_per_second": round(batch * length / median, 1),
        "tflops": round(tflops, 2),
        "peak_bf16_tflops": peak,
        "mfu": None if peak is None else round(tflops / peak, 4),
        "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def _draw_weights(trainer) -> None:
    """Random weights drawn on the device: the layout-independent ones of a real run take minutes at this size."""
    with torch.no_grad():
        for stage in trainer.stages:
            for name, parameter in stage.named_parameters():
                if "norm" in name:
                    parameter.fill_(1.0)
                else:
                    parameter.normal_(0.0, 0.02)
    trainer.optimizer.reload_model_params()


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    torch.cuda.synchronize()
    started = time.perf_counter()
    answer = work()
    torch.cuda.synchronize()
    return time.perf_counter() - started, answer


def rank_products(model: ModelConfig, tensor_parallel: int) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of each linear layer of one tensor-parallel rank, by megatron-core's names."""
    width = model.num_attention_heads * model.head_dim
    qkv = width + 2 * model.num_query_groups * model.head_dim
    return {
        "linear_qkv": (model.hidden_size, qkv // tensor_parallel),
        "linear_proj": (width // tensor_parallel, model.hidden_size),
        "linear_fc1": (model.hidden_size, 2 * model.ffn_hidden_size // tensor_parallel),
        "linear_fc2": (model.ffn_hidden_size // tensor_parallel, model.hidden_size),
    }


def check_products(settings: Settings, shape: str) -> dict[str, Any]:
    """Forward and backward of each linear layer of a rank, BF16 and FP8 with its conversions, for TP 1 to 8."""
    model, tokens = QWEN[shape], 4096
    if settings.tiny:
        model, tokens = settings.shape(shape), 32
    sizes = [size for size in (1, 2, 4, 8) if model.num_query_groups % size == 0]
    rows = []
    for size in sizes:
        for name, (inputs, outputs) in rank_products(model, size).items():
            row: dict[str, Any] = {"tensor_parallel": size, "layer": name, "tokens": tokens}
            row |= {"inputs": inputs, "outputs": outputs}
            for precision in PRECISIONS:
                try:
                    seconds = _layer_seconds(precision, tokens, inputs, outputs, 2 if settings.tiny else 20)
                except Refused as error:
                    row[precision] = {"refused": str(error)}
                    continue
                tflops = 6.0 * tokens * inputs * outputs / seconds / 1e12
                row[precision] = {"milliseconds": round(seconds * 1e3, 4), "tflops": round(tflops, 2)}
            rows.append(row)
    return {"rows": rows}


def _layer_seconds(precision: str, tokens: int, inputs: int, outputs: int, repetitions: int) -> float:
    layer = linear_layer(precision, inputs, outputs)
    device = next(layer.parameters()).device
    x = torch.randn(tokens, inputs, device=device).bfloat16().requires_grad_()
    dy = torch.randn(tokens, outputs, device=device).bfloat16()

    def both() -> None:
        linear_pass(precision, layer, x).backward(dy)

    for _ in range(3):
        both()
    return _timed(lambda: [both() for _ in range(repetitions)])[0] / repetitions
