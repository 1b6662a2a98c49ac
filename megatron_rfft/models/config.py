"""The architecture of a model, read from (and written as) a Hugging Face ``config.json``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, require_file

VOCAB_MULTIPLE = 128
"""Rows of the embedding are padded to a multiple of this, whatever the layout, so that every layout has one shape."""

_HF_NAMES = {
    "num_layers": "num_hidden_layers",
    "hidden_size": "hidden_size",
    "ffn_hidden_size": "intermediate_size",
    "num_attention_heads": "num_attention_heads",
    "num_query_groups": "num_key_value_heads",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_position_embeddings",
    "norm_epsilon": "rms_norm_eps",
    "tie_embeddings": "tie_word_embeddings",
    "init_std": "initializer_range",
}


@dataclass(frozen=True)
class ModelConfig:
    """A Qwen2-style decoder: RMSNorm, SwiGLU, rotary positions, grouped queries, biases on Q, K and V only."""

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
    def padded_vocab_size(self) -> int:
        """Rows of the embedding in training: the next multiple of VOCAB_MULTIPLE."""
        return -(-self.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE

    def num_parameters(self) -> int:
        """Parameters of the exported model, without vocabulary padding."""
        queries, keys = self.hidden_size, self.num_query_groups * self.head_dim
        attention = self.hidden_size * (queries + 2 * keys) + queries + 2 * keys + queries * self.hidden_size
        layer = attention + 3 * self.hidden_size * self.ffn_hidden_size + 2 * self.hidden_size
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_embeddings else 2)
        return self.num_layers * layer + embeddings + self.hidden_size

    @classmethod
    def from_hf(cls, path: Path | str) -> "ModelConfig":
        """Read an HF folder or its ``config.json``. Raises UserError if the architecture is not Qwen2's."""
        path = Path(path)
        file = require_file(path / "config.json" if path.is_dir() else path, "give a Hugging Face model folder")
        raw = read_json(file)
        if raw.get("model_type") != "qwen2":
            raise UserError(f"{file}: model_type {raw.get('model_type')!r} is not supported; supported: qwen2")
        if raw.get("use_sliding_window"):
            raise UserError(f"{file}: use_sliding_window is true, which is not supported; set it to false")
        rope = raw.get("rope_parameters") or {}
        if rope.get("rope_type", "default") != "default" or raw.get("rope_scaling"):
            raise UserError(f"{file}: scaled rotary positions are not supported; remove rope_scaling")
        known = {ours: theirs for ours, theirs in _HF_NAMES.items() if ours != "init_std" or theirs in raw}
        try:
            values: dict[str, Any] = {ours: raw[theirs] for ours, theirs in known.items()}
        except KeyError as error:
            raise UserError(f"{file} has no {error.args[0]!r}; give a complete Qwen2 config.json") from error
        return cls(**values, rope_theta=float(rope.get("rope_theta") or raw.get("rope_theta") or 10000.0))

    def to_hf(self, dtype: str = "float32") -> dict[str, Any]:
        """The ``config.json`` with which transformers and vLLM load the exported model."""
        return {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            **{theirs: getattr(self, ours) for ours, theirs in _HF_NAMES.items()},
            "rope_theta": self.rope_theta,
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "use_sliding_window": False,
            "use_cache": True,
            "dtype": dtype,
        }

    def as_dict(self) -> dict[str, Any]:
        """Plain values of all fields."""
        return asdict(self)
