"""FP8's error against FP32: one linear layer, and an optimizer step of a whole model; and FP32 against the record."""

import math
from typing import Any

import torch

from megatron_rfft.data.random_sequences import RandomSequences
from megatron_rfft.diagnostics.checks.settings import (
    TINY,
    Refused,
    Settings,
    relative,
    run_config,
    small_trainer,
    trainer_of,
    usable_recipe,
)
from megatron_rfft.models.fp8 import RECIPES

ROUNDING = {"bf16": 0.0017, "e4m3": 0.0265, "e5m2": 0.0527}
"""Relative error (in the Frobenius norm) of Gaussian numbers rounded to a format, of a whole tensor scaled to its
range for the FP8 formats. Errors of a product's factors add like independent ones."""
MARGIN = 1.1

GOLDEN_LOSSES = [6.128675, 5.664509, 5.284382, 4.97428, 4.643573, 4.334303, 4.013486, 3.709533]
"""FP32 losses of the first steps of the golden run, written down from a CPU."""
GOLDEN_TOLERANCE = 1e-3


def linear_pass(precision: str, layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A layer's output in ``precision``."""
    if precision == "bf16":
        return layer(x)
    import transformer_engine.pytorch as te

    with te.fp8_autocast(enabled=True, fp8_recipe=usable_recipe(precision)):
        return layer(x)


def linear_layer(precision: str, inputs: int, outputs: int) -> torch.nn.Module:
    """A BF16 linear layer that can run in ``precision``: Transformer Engine's, or torch's for BF16 on a CPU."""
    if precision == "bf16" and not torch.cuda.is_available():
        return torch.nn.Linear(inputs, outputs, bias=False, dtype=torch.bfloat16)
    if precision != "bf16":
        usable_recipe(precision)
    try:
        import transformer_engine.pytorch as te
    except ImportError as error:
        raise Refused(f"Transformer Engine does not import: {error}") from error
    return te.Linear(inputs, outputs, bias=False, params_dtype=torch.bfloat16, device="cuda")


def linear_errors(precision: str, tokens: int, inputs: int, outputs: int) -> dict[str, float]:
    """Relative errors of a layer's output, input gradient and weight gradient against FP32 of the same numbers."""
    layer = linear_layer(precision, inputs, outputs)
    device = next(layer.parameters()).device
    generator = torch.Generator().manual_seed(0)
    x, dy = (torch.randn(tokens, width, generator=generator).to(device, torch.bfloat16) for width in (inputs, outputs))
    with torch.no_grad():
        layer.weight.copy_(torch.randn(outputs, inputs, generator=generator) / math.sqrt(inputs))
    x.requires_grad_()
    y = linear_pass(precision, layer, x)
    y.backward(dy)
    x32, w32, dy32 = (tensor.detach().float() for tensor in (x, layer.weight, dy))
    pairs = {
        "output": (y, x32 @ w32.t()),
        "input_gradient": (x.grad, dy32 @ w32),
        "weight_gradient": (layer.weight.grad, dy32.t() @ x32),
    }
    return {
        name: round(float((found.detach().float() - expected).norm() / expected.norm()), 5)
        for name, (found, expected) in pairs.items()
    }


def error_bounds(precision: str) -> dict[str, float]:
    """Largest relative errors of a linear layer's output and gradients: a tenth above what rounding the factors gives.

    BF16's factors are exact in ``linear_errors``: there the result is rounded.
    """
    if precision == "bf16":
        return dict.fromkeys(("output", "input_gradient", "weight_gradient"), MARGIN * ROUNDING["bf16"])
    forward = math.hypot(ROUNDING["e4m3"], ROUNDING["e4m3"])
    backward = math.hypot(ROUNDING["e4m3"], ROUNDING[RECIPES[precision].gradient_format])
    bounds = {"output": forward, "input_gradient": backward, "weight_gradient": backward}
    return {name: round(MARGIN * bound, 5) for name, bound in bounds.items()}


def check_linear(settings: Settings, precision: str) -> dict[str, Any]:
    """A layer of the 7B model's width (fc1 at TP4) against FP32."""
    shape = (64, 32, 96) if settings.tiny else (4096, 3584, 9472)
    errors = linear_errors(precision, *shape)
    bounds = error_bounds(precision)
    return {"shape": shape, **errors, "bounds": bounds, "within": all(errors[name] <= bounds[name] for name in bounds)}


def check_step(settings: Settings, precision: str) -> dict[str, Any]:
    """Loss and gradient norm of one step of the small model, in ``precision`` and in FP32."""
    expected, found = (_first_step(settings, kind) for kind in ("fp32", precision))
    return {
        "loss_fp32": expected.loss,
        "loss": found.loss,
        "loss_relative_difference": relative(found.loss, expected.loss),
        "gradient_norm_relative_difference": relative(found.grad_norm, expected.grad_norm),
    }


def _first_step(settings: Settings, precision: str):
    with small_trainer(settings, precision, "step", 1) as trainer:
        return trainer.train_step()


def check_golden(settings: Settings) -> dict[str, Any]:
    """FP32 steps of a fixed model on fixed numbers, against the losses written down from a CPU."""
    dataset = RandomSequences(128, 8, 32)  # eight of 512 ids: there is something to learn
    config = run_config(
        settings,
        {**TINY, "hidden_size": 64, "ffn_hidden_size": 192, "vocab_size": 512},
        "fp32",
        name="golden",
        steps=len(GOLDEN_LOSSES),
        data={"sequence_length": 128},
        batch={"global_batch_size": 4},
        optimizer={"lr": 3e-3},
    )
    with trainer_of(config, dataset) as trainer:
        losses = [trainer.train_step().loss for _ in GOLDEN_LOSSES]
    difference = max(abs(found - expected) for found, expected in zip(losses, GOLDEN_LOSSES, strict=True))
    return {"losses": losses, "largest_difference": difference, "within": difference <= GOLDEN_TOLERANCE}
