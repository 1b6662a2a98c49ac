"""Tokens a second, TFLOP/s and MFU of a training step on true layer shapes, and a table of its matrix products."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from megatron_rfft.data.random_sequences import RandomSequences
from megatron_rfft.diagnostics.checks.numerics import linear_layer, linear_pass
from megatron_rfft.diagnostics.checks.settings import (
    HUNDRED_MILLION,
    PRECISIONS,
    QWEN,
    Refused,
    Settings,
    run_config,
    trainer_of,
)
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.flops import training_flops
from megatron_rfft.training.throughput import peak_tflops


def check_speed(settings: Settings, shape: str, precision: str) -> dict[str, Any]:
    """Training steps of a slice of a Qwen2.5 model on one device, sequences of 4,096 tokens, 8 a step."""
    return _speed(settings, settings.shape(shape), precision)


def check_long(settings: Settings, precision: str) -> dict[str, Any]:
    """The same of the 32B slice in sequences of 25,600 tokens, 8 documents each, with selective recompute."""
    memory = {"recompute": "selective"}
    return _speed(settings, settings.shape("32b"), precision, tokens=25_600, documents=8, batch=2, memory=memory)


def check_adapters(settings: Settings, precision: str) -> dict[str, Any]:
    """The same of the 32B slice, frozen under PiSSA's adapters of rank 32.

    Without FLOPs: most weights have no gradients. What adapters compute is held against PEFT on CPUs.
    """
    frozen = {"adapter": {"method": "pissa", "rank": 4 if settings.tiny else 32}, "checkpoint": {"load": "never-read"}}
    result = _speed(settings, settings.shape("32b"), precision, **frozen)
    return {name: value for name, value in result.items() if name not in ("tflops", "peak_bf16_tflops", "mfu")}


def check_small(settings: Settings, precision: str) -> dict[str, Any]:
    """The same of a whole model of 0.1B: there the GPU waits for its host."""
    model = settings.shape("32b") if settings.tiny else ModelConfig(**HUNDRED_MILLION)
    return _speed(settings, model, precision)


def _speed(
    settings: Settings,
    model: ModelConfig,
    precision: str,
    *,
    tokens: int = 4096,
    documents: int = 1,
    batch: int = 8,
    **sections: dict[str, Any],
) -> dict[str, Any]:
    length, batch, warmup, steps = (64 * documents, 2, 1, 2) if settings.tiny else (tokens, batch, 2, 4)
    dataset = RandomSequences(length, model.vocab_size, length // documents)
    config = run_config(
        settings,
        model,
        precision,
        name="speed",
        steps=warmup + steps,
        data={"sequence_length": length},
        batch={"global_batch_size": batch},
        optimizer={"lr": 1e-5},
        # Of a few layers, the first and the last are many: what is measured here is the speed of the layers between.
        precision={} if precision == "bf16" else {"fp8_first_last_bf16": False},
        **sections,
    )
    torch.cuda.reset_peak_memory_stats()
    with trainer_of(config, dataset, initialize=False) as trainer:
        _draw_weights(trainer)
        seconds = [_timed(trainer.train_step)[0] for _ in range(warmup + steps)][warmup:]
    median = statistics.median(seconds)
    flops = training_flops(model, np.tile(np.diff(dataset.boundaries), batch))
    tflops, peak = flops / median / 1e12, peak_tflops()
    return {
        "layers": model.num_layers,
        "vocab_size": model.vocab_size,
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
    shapes = {name: linear.on_rank(tensor_parallel) for name, linear in model.geometry.linears.items()}
    return {name: (inputs, outputs) for name, (outputs, inputs) in shapes.items()}


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
