"""Proof by the profiler that products ran in FP8, or that none did."""

import re
from typing import Any

import torch

from megatron_rfft.diagnostics.checks.settings import FP8, Settings, small_trainer

FP8_PRODUCT = re.compile(
    r"gemm.*(e4m3|e5m2)|(e4m3|e5m2).*gemm|qgmma|nvjet_(sm\d+_)?[qr]{2}|gemm.*(f8|fp8)", re.IGNORECASE
)
"""Matrix products on FP8 inputs: names of cuBLAS (xmma and nvjet), CUTLASS and Transformer Engine kernels."""
PRODUCT = re.compile(r"gemm|nvjet|aten::(mm|addmm|bmm)$|cutlass", re.IGNORECASE)


def fp8_products(names: list[str]) -> list[str]:
    """Those of the kernel names that are matrix products on FP8 inputs."""
    return [name for name in names if FP8_PRODUCT.search(name)]


def check_kernels(settings: Settings, precision: str) -> dict[str, Any]:
    """Names of the kernels of one training step; FP8 products are expected in FP8 and in nothing else."""
    from megatron_rfft.training.precision import describe_fp8

    on_gpu = torch.cuda.is_available()
    activity = torch.profiler.ProfilerActivity
    with small_trainer(settings, precision, "kernels", 3) as trainer:
        linears = describe_fp8(trainer) if precision in FP8 else "none"
        trainer.train_step()
        with torch.profiler.profile(activities=[activity.CUDA if on_gpu else activity.CPU]) as profile:
            trainer.train_step()
            torch.cuda.synchronize()
    products: dict[str, int] = {}
    for event in profile.events():
        if PRODUCT.search(event.name):
            products[event.name] = products.get(event.name, 0) + 1
    in_fp8 = {name: products[name] for name in fp8_products(list(products))}
    return {
        "fp8_linears": linears,
        "products": dict(sorted(products.items(), key=lambda item: -item[1])[:20]),
        "fp8_products": in_fp8,
        "as_expected": bool(products) and bool(in_fp8) == (precision != "bf16"),
    }
