"""The architecture of a model, read from (and written as) a Hugging Face ``config.json``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.families import FAMILIES, Family
from megatron_rfft.common.files import require_file
from megatron_rfft.models.geometry import Geometry, geometry_of
from megatron_rfft.models.hf_config import HF_NAMES, LLAMA3_ROPE, read_hf_config

VOCAB_MULTIPLE = 128
"""Rows of the embedding are padded to a multiple of this, whatever the layout, so that every layout has one shape."""


@dataclass(frozen=True)
class ModelConfig:
    """A decoder of one of the families: RMSNorm, gated MLP, rotary positions, grouped queries."""

    num_layers: int
    """Transformer layers."""
    hidden_size: int
    """Width of the residual stream."""
    ffn_hidden_size: int
    """Width inside the gated MLP."""
    num_attention_heads: int
    """Query heads."""
    num_query_groups: int
    """Key/value heads."""
    architecture: str = "qwen2"
    """Hugging Face's model_type: a row of common/families.py."""
    head_dim: int = 0
    """Dimension of one attention head; 0: hidden_size / num_attention_heads."""
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
        if self.architecture not in FAMILIES:
            raise UserError(f"model.architecture is {self.architecture!r}; it must be one of {', '.join(FAMILIES)}")
        if self.rope_scaling_factor < 1:
            raise UserError(f"model.rope_scaling_factor is {self.rope_scaling_factor}; it must be at least 1")
        self._settle_head_dim()
        if self.head_dim % 2:
            raise UserError(f"the head dimension {self.head_dim} is odd; rotary positions need an even one")
        if self.num_attention_heads % self.num_query_groups:
            raise UserError(
                f"model.num_attention_heads {self.num_attention_heads} is not a multiple of model.num_query_groups "
                f"{self.num_query_groups}; change one of them"
            )

    def _settle_head_dim(self) -> None:
        if self.head_dim < 0:
            raise UserError(f"model.head_dim is {self.head_dim}; it must be at least 1, or left out")
        derived, rest = divmod(self.hidden_size, self.num_attention_heads)
        if not self.head_dim or self.family.head_dim == "derived":
            if rest:
                raise UserError(
                    f"model.hidden_size {self.hidden_size} is not a multiple of model.num_attention_heads "
                    f"{self.num_attention_heads}; change one of them"
                )
            if self.head_dim not in (0, derived):
                raise UserError(
                    f"model.head_dim is {self.head_dim}; a {self.architecture} model has hidden_size / "
                    f"num_attention_heads, {derived}; leave it out"
                )
            object.__setattr__(self, "head_dim", derived)

    @property
    def family(self) -> Family:
        """What all models of this architecture have in common."""
        return FAMILIES[self.architecture]

    @property
    def geometry(self) -> Geometry:
        """Its matrices and norms."""
        return geometry_of(self)

    @property
    def query_size(self) -> int:
        """Width of all query heads, and of attention's output."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_size(self) -> int:
        """Width of all key heads; of all value heads, too."""
        return self.num_query_groups * self.head_dim

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding in training: the next multiple of VOCAB_MULTIPLE."""
        return -(-self.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE

    def num_parameters(self) -> int:
        """Parameters of the exported model, without vocabulary padding."""
        return self.geometry.num_parameters(self.num_layers)

    @classmethod
    def from_hf(cls, path: Path | str) -> "ModelConfig":
        """Read an HF folder or its ``config.json``. Raises UserError for what another model would be trained from."""
        path = Path(path)
        file = require_file(path / "config.json" if path.is_dir() else path, "give a Hugging Face model folder")
        return cls(**read_hf_config(file))

    def to_hf(self, dtype: str = "float32") -> dict[str, Any]:
        """The ``config.json`` with which transformers and vLLM load the exported model."""
        config = {
            "architectures": [self.family.hf_class],
            "model_type": self.architecture,
            **{theirs: getattr(self, ours) for ours, theirs in HF_NAMES.items()},
            "rope_theta": self.rope_theta,
            "hidden_act": self.family.activation,
            "attention_dropout": 0.0,
            "use_cache": True,
            "dtype": dtype,
        }
        if self.rope_scaling_factor != 1:
            config["rope_scaling"] = {"rope_type": "llama3", "factor": self.rope_scaling_factor, **LLAMA3_ROPE}
        config |= self.family.says
        return config if self.family.head_dim == "derived" else {**config, "head_dim": self.head_dim}

    def as_dict(self) -> dict[str, Any]:
        """Plain values of all fields."""
        return asdict(self)
