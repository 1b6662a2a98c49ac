"""What a plan takes from a run's data, where the data is at hand; a plan can be made without."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from megatron_rfft.data.documents import Documents
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.config import TrainConfig


def resolve_model(config: TrainConfig) -> ModelConfig:
    """The architecture; the data set is opened only if the vocabulary is not stated."""
    model = config.model.resolve(0)
    return model if model.vocab_size else config.model.resolve(config.data.open(config.run.seed).vocab_size)


@dataclass(frozen=True)
class DocumentTokens:
    """How long the documents of a run are, and where that is from."""

    weighted: float | None
    """Mean tokens, each document weighted by its tokens: what attention spans. None: whole sequences."""
    mean: float | None
    """Mean tokens, each document counted once. None: unknown."""
    basis: str


def document_tokens(config: TrainConfig, weighted: float | None, mean: float | None) -> DocumentTokens:
    """The lengths given, else those of the data, else those of whole sequences."""
    length = config.data.sequence_length
    if weighted is not None:
        return DocumentTokens(min(weighted, length), mean, f"documents of {weighted:,.0f} tokens (given)")
    prefixes = [source.path for source in config.data.train]
    if not prefixes or not all(Path(f"{prefix}.docs.npy").is_file() for prefix in prefixes):
        return DocumentTokens(None, mean, f"whole sequences of {length:,} tokens (the data is not here)")
    lengths = np.concatenate([Documents(prefix).lengths for prefix in prefixes]).astype(np.float64)
    lengths = np.minimum(lengths, length)
    weighted = float(np.sum(lengths**2) / np.sum(lengths))
    basis = f"documents of {weighted:,.0f} tokens (data.train, weighted by tokens)"
    return DocumentTokens(weighted, mean or float(lengths.mean()), basis)
