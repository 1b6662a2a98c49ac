"""The recipes of FP8: what megatron-core is told for each, and which of them this machine can run."""

from typing import Any

SETTINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "tensorwise": {"fp8": "hybrid", "fp8_recipe": "tensorwise"},
    "blockwise": {"fp8": "e4m3", "fp8_recipe": "blockwise"},
}
"""By recipe, fields of megatron-core's TransformerConfig."""


def unavailable() -> dict[str, str]:
    """Why this machine can't run a recipe, in Transformer Engine's words; empty where it can.

    Raises ImportError or OSError if Transformer Engine does not load.
    """
    import torch  # noqa: F401  (first: Transformer Engine then takes torch's cuBLAS and cuDNN)
    import transformer_engine.pytorch as te

    reasons = {
        "tensorwise": te.is_fp8_available(return_reason=True),
        "blockwise": te.is_fp8_block_scaling_available(return_reason=True),
    }
    return {recipe: "" if available else reason for recipe, (available, reason) in reasons.items()}
