"""What a plan takes from a run's data, where the data is at hand; a plan can be made without."""

from pathlib import Path

import numpy as np

from megatron_rfft.data.documents import Documents
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.config import TrainConfig


def resolve_model(config: TrainConfig) -> ModelConfig:
    """The architecture; the data set is opened only if the vocabulary is not stated."""
    model = config.model.resolve(0)
    return model if model.vocab_size else config.model.resolve(config.data.open(config.run.seed).vocab_size)


def document_tokens(config: TrainConfig, given: float | None) -> tuple[float | None, str]:
    """Mean tokens of a document, each weighted by its tokens (None: whole sequences), and where it is from."""
    length = config.data.sequence_length
    if given is not None:
        return min(given, length), f"documents of {given:,.0f} tokens (given)"
    prefixes = [source.path for source in config.data.train]
    if not prefixes or not all(Path(f"{prefix}.docs.npy").is_file() for prefix in prefixes):
        return None, f"whole sequences of {length:,} tokens (the data is not here)"
    lengths = np.concatenate([Documents(prefix).lengths for prefix in prefixes]).astype(np.float64)
    lengths = np.minimum(lengths, length)
    mean = float(np.sum(lengths**2) / np.sum(lengths))
    return mean, f"documents of {mean:,.0f} tokens (data.train, weighted by tokens)"
