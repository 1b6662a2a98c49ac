"""The recipes of FP8, a row each: what megatron-core is told, what Transformer Engine needs, and what it costs."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How the matrices of a layer run in FP8."""

    settings: dict[str, Any]
    """Fields of megatron-core's TransformerConfig."""
    te_class: str
    """Its class in ``transformer_engine.common.recipe``."""
    te_probe: str
    """The function of ``transformer_engine.pytorch`` that says whether this machine can run it."""
    te_version: tuple[int, int]
    """The first release of Transformer Engine that has it."""
    token_multiple: int
    """Tokens of a micro-batch on one rank must be a multiple of this for the matrix products."""
    weight_bytes: int
    """Bytes that Transformer Engine keeps of each weight for good, beside the bf16 one: rounded each step, by rows for
    the forward pass and by columns for the backward one (``_fp8_workspaces``; read in 2.20.2)."""
    input_bytes: float
    """Bytes that it keeps of each entry of a trained matrix's input for the backward pass, scales included."""
    gradient_format: str
    """What an output gradient is rounded to; activations and weights are in E4M3 in every recipe."""
    cost: float
    """Time of products and quantization, relative to tensorwise scaling."""


# Costs: Transformer Engine's documentation has 1.57 and 1.41 times BF16's speed for current and block scaling (5B
# shapes, H200).
RECIPES = {
    "tensorwise": Recipe(
        {"fp8": "hybrid", "fp8_recipe": "tensorwise"},
        te_class="Float8CurrentScaling",
        te_probe="is_fp8_available",
        te_version=(2, 2),
        token_multiple=16,
        weight_bytes=2,
        input_bytes=1,
        gradient_format="e5m2",
        cost=1.0,
    ),
    "blockwise": Recipe(
        {"fp8": "e4m3", "fp8_recipe": "blockwise"},
        te_class="Float8BlockScaling",
        te_probe="is_fp8_block_scaling_available",
        te_version=(2, 3),
        token_multiple=128,
        weight_bytes=2,
        input_bytes=1 + 4 / 128,
        gradient_format="e4m3",
        cost=1.57 / 1.41,
    ),
}
"""By name, as ``precision.fp8`` has it."""
NONE = "none"
"""``precision.fp8`` without FP8."""
CHOICES = (NONE, *RECIPES)


def settings(fp8: str) -> dict[str, Any]:
    """Fields of megatron-core's TransformerConfig for one of CHOICES."""
    return {} if fp8 == NONE else RECIPES[fp8].settings


def token_multiple(fp8: str) -> int:
    """What the tokens of a micro-batch on one rank must be a multiple of, for one of CHOICES."""
    return 1 if fp8 == NONE else RECIPES[fp8].token_multiple


def unavailable() -> dict[str, str]:
    """Why this machine can't run a recipe, in Transformer Engine's words; empty where it can.

    Raises ImportError or OSError if Transformer Engine does not load.
    """
    import torch  # noqa: F401  (first: Transformer Engine then takes torch's cuBLAS and cuDNN)
    import transformer_engine.pytorch as te

    reasons = {name: getattr(te, recipe.te_probe)(return_reason=True) for name, recipe in RECIPES.items()}
    return {name: "" if available else reason for name, (available, reason) in reasons.items()}


def te_recipe(name: str) -> Any:
    """Transformer Engine's object for a recipe. Raises ImportError where the library does not load or lacks it."""
    import transformer_engine.pytorch  # noqa: F401
    from transformer_engine.common import recipe

    if not hasattr(recipe, RECIPES[name].te_class):
        raise ImportError(f"transformer_engine.common.recipe has no {RECIPES[name].te_class}")
    return getattr(recipe, RECIPES[name].te_class)()
