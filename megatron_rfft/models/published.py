"""Dimensions of published models that plans, checks and published runs speak of, by their names in examples/models."""

from megatron_rfft.models.config import ModelConfig

_QWEN25 = {"vocab_size": 152064, "rope_theta": 1e6, "max_position_embeddings": 32768, "tie_embeddings": False}
_QWEN3 = {"vocab_size": 151936, "rope_theta": 1e6, "max_position_embeddings": 40960, "tie_embeddings": False}

PUBLISHED = {
    "qwen2.5-7b": ModelConfig(28, 3584, 18944, 28, 4, **_QWEN25),
    "qwen2.5-32b": ModelConfig(64, 5120, 27648, 40, 8, **_QWEN25),
    "qwen3-8b": ModelConfig(36, 4096, 12288, 32, 8, "qwen3", 128, **_QWEN3),
}
