"""The families of models that are trained here, a row each: what all models of a Hugging Face ``model_type`` share.

It stands below the rooms that build models, since tokenizers are proven beside each family's config, too.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """A decoder with RMSNorm, a gated MLP, rotary positions and grouped queries; what else it has."""

    title: str
    """What people call it."""
    hf_class: str
    """transformers' class, as ``architectures`` of config.json names it."""
    head_dim: str
    """What config.json says of the head dimension. ``derived``: it is hidden_size / num_attention_heads, and no other
    is taken; ``optional``: it may be another one; ``required``: it is always stated."""
    qkv_bias: bool = False
    """Q, K and V have biases."""
    qk_norm: bool = False
    """Each head of Q and K passes an RMSNorm of its own before the rotation."""
    activation: str = "silu"
    """``hidden_act``, the function of the MLP's gate."""
    rope: tuple[str, ...] = ("default", "llama3")
    """Kinds of rotary positions (``rope_type``) that may be asked for."""
    heads_as_groups: bool = False
    """A config without num_key_value_heads has a key/value head for each query head."""
    says: dict[str, Any] = field(default_factory=dict)
    """Keys of an exported config.json with one value."""
    no_effect: tuple[str, ...] = ()
    """Keys of config.json that change nothing, beside those of all families."""


FAMILIES = {
    "qwen2": Family(
        "Qwen2, Qwen2.5",
        "Qwen2ForCausalLM",
        head_dim="derived",
        qkv_bias=True,
        says={"use_sliding_window": False},
        no_effect=("sliding_window", "max_window_layers"),  # use_sliding_window is asked first
    ),
    "qwen3": Family(
        "Qwen3",
        "Qwen3ForCausalLM",
        head_dim="required",  # transformers takes 128 where a config says nothing
        qk_norm=True,
        says={"attention_bias": False, "use_sliding_window": False},
        no_effect=("sliding_window", "max_window_layers"),
    ),
    "llama": Family(
        "Llama 3, 3.1, 3.2",
        "LlamaForCausalLM",
        head_dim="optional",
        heads_as_groups=True,
        says={"attention_bias": False, "mlp_bias": False},
    ),
}
"""By ``model_type``."""
