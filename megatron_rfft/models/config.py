"""The architecture of a model, read from (and written as) a Hugging Face ``config.json``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file
from megatron_rfft.models.hf_config import HF_CLASSES, HF_NAMES, LLAMA3_ROPE, read_hf_config

VOCAB_MULTIPLE = 128
"""Rows of the embedding are padded to a multiple of this, whatever the layout, so that every layout has one shape."""


@dataclass(frozen=True)
class ModelConfig:
    """A Qwen2 or Llama decoder: RMSNorm, SwiGLU, rotary positions, grouped queries; Qwen2 has biases on Q, K and V."""

    num_layers: int
    """Transformer layers."""
    hidden_size: int
    """Width of the residual stream."""
    ffn_hidden_size: int
    """Width inside the gated MLP."""
    num_attention_heads: int
    """Query heads; the head dimension is hidden_size / num_attention_heads."""
    num_query_groups: int
    """Key/value heads."""
    architecture: str = "qwen2"
    """qwen2 (biases on Q, K and V) or llama (none)."""
    rope_scaling_factor: float = 1.0
    """Llama 3.1's stretching of the rotary frequencies (8.0 there); 1.0: none."""
    vocab_size: int = 0
    """Rows of the embedding in the HF checkpoint; 0: as many as the data set's tokenizer has ids."""
    max_position_embeddings: int = 4096
    """Longest sequence, in tokens, that the exported model claims."""
    rope_theta: float = 10000.0
    """Base of the rotary frequencies."""
    norm_epsilon: float = 1e-6
    """RMSNorm's epsilon."""
    tie_embeddings: bool = True
    """Input and output embeddings are one matrix."""
    init_std: float = 0.02
    """Standard deviation of initial matrices; narrow models learn sooner with about hidden_size ** -0.5."""

    def __post_init__(self) -> None:
        for name in ("num_layers", "hidden_size", "ffn_hidden_size", "num_attention_heads", "num_query_groups"):
            if getattr(self, name) < 1:
                raise UserError(f"model.{name} is {getattr(self, name)}; it must be at least 1")
        if self.architecture not in HF_CLASSES:
            raise UserError(f"model.architecture is {self.architecture!r}; it must be one of {', '.join(HF_CLASSES)}")
        if self.rope_scaling_factor < 1:
            raise UserError(f"model.rope_scaling_factor is {self.rope_scaling_factor}; it must be at least 1")
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"model.hidden_size {self.hidden_size} is not a multiple of model.num_attention_heads "
                f"{self.num_attention_heads}; change one of them"
            )
        if self.head_dim % 2:
            raise UserError(f"the head dimension {self.head_dim} is odd; rotary positions need an even one")
        if self.num_attention_heads % self.num_query_groups:
            raise UserError(
                f"model.num_attention_heads {self.num_attention_heads} is not a multiple of model.num_query_groups "
                f"{self.num_query_groups}; change one of them"
            )

    @property
    def head_dim(self) -> int:
        """Dimension of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def qkv_bias(self) -> bool:
        """Whether Q, K and V have biases."""
        return self.architecture == "qwen2"

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding in training: the next multiple of VOCAB_MULTIPLE."""
        return -(-self.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE

    def num_parameters(self) -> int:
        """Parameters of the exported model, without vocabulary padding."""
        queries, keys = self.hidden_size, self.num_query_groups * self.head_dim
        attention = self.hidden_size * (queries + 2 * keys) + queries * self.hidden_size
        attention += (queries + 2 * keys) if self.qkv_bias else 0
        layer = attention + 3 * self.hidden_size * self.ffn_hidden_size + 2 * self.hidden_size
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_embeddings else 2)
        return self.num_layers * layer + embeddings + self.hidden_size

    @classmethod
    def from_hf(cls, path: Path | str) -> "ModelConfig":
        """Read an HF folder or its ``config.json``. Raises UserError for what another model would be trained from."""
        path = Path(path)
        file = require_file(path / "config.json" if path.is_dir() else path, "give a Hugging Face model folder")
        return cls(**read_hf_config(file))

    def to_hf(self, dtype: str = "float32") -> dict[str, Any]:
        """The ``config.json`` with which transformers and vLLM load the exported model."""
        config = {
            "architectures": [HF_CLASSES[self.architecture]],
            "model_type": self.architecture,
            **{theirs: getattr(self, ours) for ours, theirs in HF_NAMES.items()},
            "rope_theta": self.rope_theta,
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "use_cache": True,
            "dtype": dtype,
        }
        if self.rope_scaling_factor != 1:
            config["rope_scaling"] = {"rope_type": "llama3", "factor": self.rope_scaling_factor, **LLAMA3_ROPE}
        if self.architecture == "qwen2":
            return {**config, "use_sliding_window": False}
        return {**config, "attention_bias": False, "mlp_bias": False, "head_dim": self.head_dim}

    def as_dict(self) -> dict[str, Any]:
        """Plain values of all fields."""
        return asdict(self)
