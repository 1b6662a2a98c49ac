"""What importing other projects' sharded checkpoints has in common: the family and the rows of their parameters."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.families import FAMILIES
from megatron_rfft.conversion.parameter_mapping import mappings
from megatron_rfft.conversion.storage.state_reader import ShardedStateReader
from megatron_rfft.conversion.storage.stored import Rows, padded
from megatron_rfft.models.config import ModelConfig

if TYPE_CHECKING:
    from megatron_rfft.conversion.storage.state_writer import ParameterRows

EMBEDDING = "embedding.word_embeddings.weight"
NAMES = {
    "num_layers": "num_layers",
    "hidden_size": "hidden_size",
    "ffn_hidden_size": "ffn_hidden_size",
    "num_attention_heads": "num_attention_heads",
    "num_query_groups": "num_query_groups",
    "max_position_embeddings": "max_position_embeddings",
    "rope_theta": "rotary_base",
    "norm_epsilon": "layernorm_epsilon",
    "tie_embeddings": "share_embeddings_and_output_weights",
    "init_std": "init_method_std",
}
"""Ours, and what configs close to megatron-core's call it."""
SUPPORTED = "; ".join(family.title for family in FAMILIES.values())


def open_state(weights: Path) -> ShardedStateReader:
    """The model's parameters in the sharded checkpoint ``weights``, whatever stands before their names.

    Raises UserError if it holds none, or those of several models.
    """
    found = [name for name in ShardedStateReader(weights).names if name.endswith(EMBEDDING)]
    if len(found) != 1:
        raise UserError(f"{weights} holds {len(found)} embeddings, which no supported model does")
    return ShardedStateReader(weights, found[0].removesuffix(EMBEDDING))


def check_values(
    config: Any, fixed: dict[str, Any], neutral: dict[str, Collection[Any]], source: Path
) -> dict[str, Any]:
    """``config`` if it is of a model that this package knows.

    ``fixed`` are values that it has where it says one; ``neutral`` what it may say besides, or null. Raises UserError.
    """
    if not isinstance(config, dict):
        raise UserError(f"{source} has no config of a model")
    for key, expected in fixed.items():
        if config.get(key, expected) != expected:
            raise UserError(f"{source}: {key} is not {expected!r}; only models of {SUPPORTED} are supported")
    for key, values in neutral.items():
        if (value := config.get(key)) is not None and value not in values:
            raise UserError(f"{source}: {key} is {value!r}; only models of {SUPPORTED} are supported")
    return config


def described_model(
    config: dict[str, Any],
    names: dict[str, str],
    reader: ShardedStateReader,
    source: Path,
    *,
    vocab_size: int | None,
    rope_scaling_factor: float,
) -> ModelConfig:
    """The model that ``config`` describes by ``names`` (see NAMES); without a ``vocab_size``, with all stored rows.

    Raises UserError if the config lacks a value, or no family has the parameters in ``reader``.
    """
    try:
        values = {ours: config[theirs] for ours, theirs in names.items() if theirs in config or ours != "init_std"}
    except KeyError as error:
        raise UserError(f"{source}: its model has no {error.args[0]!r}; copy it again") from error
    return ModelConfig(
        **values | {"rope_theta": float(values["rope_theta"])},
        architecture=_family_of(reader.names, config.get("qk_layernorm"), source),
        head_dim=config.get("kv_channels") or 0,
        rope_scaling_factor=rope_scaling_factor,
        vocab_size=vocab_size or reader.shape(EMBEDDING)[0],
    )


def _family_of(names: Collection[str], qk_layernorm: Any, source: Path) -> str:
    """The family that has the parameters ``names``; ``qk_layernorm`` is what the config says of norms of Q and K.

    Raises UserError if no family has them, or the config says otherwise.
    """
    attention = "decoder.layers.self_attention."
    has = (f"{attention}linear_qkv.bias" in names, f"{attention}q_layernorm.weight" in names)
    if qk_layernorm not in (None, has[1]):
        raise UserError(f"{source}: qk_layernorm is {qk_layernorm!r}, and its weights say otherwise; save it again")
    found = [name for name, family in FAMILIES.items() if (family.qkv_bias, family.qk_norm) == has]
    if not found:
        raise UserError(f"{source} has the parameters of no family; only models of {SUPPORTED} are supported")
    return found[0]


def stored_rows(reader: ShardedStateReader, model: ModelConfig, source: Path) -> "ParameterRows":
    """Finds the rows of parameters in ``reader``; embeddings may be padded to another number."""
    table = mappings(model)

    def rows(name: str, layer: int | None, shape: tuple[int, ...]) -> list[Rows]:
        stored = reader.stored(name, layer)
        may_differ = table[name].padded and stored.shape[0] >= model.vocab_size
        if stored.shape != ((stored.shape[0], *shape[1:]) if may_differ else shape):
            raise UserError(f"{source}: {name} is {stored.shape}, its config says {shape}")
        return padded([(stored, 0, shape[0] if stored.shape == shape else model.vocab_size)], shape[0])

    return rows
