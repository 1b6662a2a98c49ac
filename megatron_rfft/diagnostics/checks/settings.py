"""What all checks share: the shapes they use, how they build a trainer, and how they decline."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.data.random_sequences import RandomSequences
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.fp8 import RECIPES, te_recipe, unavailable
from megatron_rfft.models.published import PUBLISHED
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import config_from_dict

FP8 = tuple(RECIPES)
PRECISIONS = ("bf16", *FP8)
"""BF16, and the recipes of precision.fp8."""

QWEN = {size: PUBLISHED[f"qwen2.5-{size}"] for size in ("7b", "32b")}
"""Qwen2.5's dimensions."""
LAYERS = {"7b": 7, "32b": 4}
"""As many layers as one GPU of 80 GB trains in every precision, and a whole fraction of the model."""

SMALL = {"num_layers": 6, "hidden_size": 512, "ffn_hidden_size": 1536, "num_attention_heads": 8, "num_query_groups": 2}
HUNDRED_MILLION = {
    "num_layers": 12,
    "hidden_size": 768,
    "ffn_hidden_size": 2048,
    "num_attention_heads": 12,
    "num_query_groups": 12,
    "vocab_size": 32_768,
}
TINY = {"num_layers": 2, "hidden_size": 32, "ffn_hidden_size": 96, "num_attention_heads": 4, "num_query_groups": 2}


class Refused(Exception):
    """This machine or this version can't do what a check is about; the message says why."""


@dataclass(frozen=True)
class Settings:
    """How large the checks are, and where they may write."""

    work: Path
    """Folder for data, checkpoints and the like."""
    tiny: bool = False
    """Shapes and numbers of steps with which every check's code runs on a CPU in seconds; its figures mean nothing."""
    data: Path | None = None
    """Data set for the loss curves; None: one is made in ``work``."""
    steps: int = 300
    """Optimizer steps of the loss curves."""

    @property
    def small(self) -> dict[str, Any]:
        """A model, small beside Qwen, whose dimensions suit every FP8 recipe."""
        return dict(TINY if self.tiny else SMALL)

    def shape(self, name: str) -> ModelConfig:
        """A slice of Qwen, or nearly nothing: few of its layers, and the same share of its vocabulary, so that the
        head, which always runs in BF16, takes its part of the time and no more.
        """
        full = QWEN[name]
        if self.tiny:
            return ModelConfig(**{**TINY, "num_layers": 1}, vocab_size=256, tie_embeddings=False)
        layers = LAYERS[name]
        vocab_size = full.vocab_size * layers // full.num_layers // 128 * 128
        return ModelConfig(**{**asdict(full), "num_layers": layers, "vocab_size": vocab_size})


def run_config(
    settings: Settings,
    model: dict[str, Any] | ModelConfig,
    precision: str,
    /,
    *,
    name: str,
    steps: int,
    **sections: Any,
):
    """A TrainConfig of ``model`` in ``precision`` (one of PRECISIONS, or fp32). Raises Refused if there is none."""
    section: dict[str, Any] = {"dtype": "fp32" if precision == "fp32" else "bf16"}
    if precision in FP8:
        usable_recipe(precision)
        section["fp8"] = precision
    values = model if isinstance(model, dict) else asdict(model)
    raw = {
        "run": {"output": str(settings.work / name), "steps": steps, "seed": 1234},
        "model": values,
        "precision": section,
        "optimizer": {"lr": 1e-3, "schedule": "constant"},
        "logging": {"tensorboard": False},
    }
    for key, extra in sections.items():
        raw[key] = {**raw.get(key, {}), **extra}
    return config_from_dict(raw)


@contextmanager
def trainer_of(config: TrainConfig, dataset, callbacks: Sequence = (), initialize: bool = True) -> Iterator:
    """A Trainer alone in its world, which is taken down afterwards; ``initialize``: as Trainer's."""
    from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
    from megatron_rfft.training.precision import check_precision
    from megatron_rfft.training.trainer import Trainer

    model = config.model.resolve(dataset.vocab_size)
    check_precision(config)
    initialize_parallel(config, model)
    try:
        yield Trainer(config, model, dataset, list(callbacks), initialize=initialize)
    finally:
        destroy_parallel()
        torch.cuda.empty_cache()


def small_trainer(settings: Settings, precision: str, name: str, steps: int):
    """A trainer of the small model on random sequences, two a step (a context manager, as ``trainer_of``)."""
    dataset = random_batches(settings)
    config = run_config(
        settings,
        {**settings.small, "vocab_size": dataset.vocab_size},
        precision,
        name=name,
        steps=steps,
        data={"sequence_length": dataset.sequence_length},
        batch={"global_batch_size": 2},
    )
    return trainer_of(config, dataset)


def usable_recipe(precision: str) -> Any:
    """Transformer Engine's object for a recipe of FP8. Raises Refused where the library or the GPU lacks it."""
    if not torch.cuda.is_available():
        raise Refused("no GPU: FP8 needs one of compute capability 8.9")
    try:
        recipe = te_recipe(precision)
    except ImportError as error:
        raise Refused(f"Transformer Engine does not import: {error}") from error
    if reason := unavailable()[precision]:
        raise Refused(reason)
    return recipe


def random_batches(settings: Settings, vocab_size: int = 512) -> RandomSequences:
    """Sequences for the small model, four documents each; lengths are multiples of 128, as the recipes want them."""
    return RandomSequences(128 if settings.tiny else 1024, vocab_size, 32 if settings.tiny else 256)


def relative(found: float, expected: float) -> float:
    """The relative difference of two numbers; infinite if one is none."""
    if not (math.isfinite(found) and math.isfinite(expected)):
        return math.inf
    return abs(found - expected) / max(abs(expected), 1e-30)
