"""Which Hugging Face tensors make up each megatron-core parameter: one table for Qwen2 and Llama.

They differ in the biases of Q, K and V alone.

megatron-core stores Q, K and V of one key/value group side by side (``[q..q k v] x groups``), and the gate above the
up projection; embeddings have padded rows, which an export strips.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from megatron_rfft.models.config import ModelConfig

Join = Callable[[list[Tensor], ModelConfig], Tensor]
Split = Callable[[Tensor, ModelConfig], list[Tensor]]


@dataclass(frozen=True)
class Mapping:
    """One megatron-core parameter and the HF tensors it is joined from and split into."""

    megatron: str
    hf: tuple[str, ...]
    join: Join = lambda tensors, model: tensors[0]
    split: Split = lambda tensor, model: [tensor]


def _pad_rows(tensors: list[Tensor], model: ModelConfig) -> Tensor:
    if model.vocab_size == model.padded_vocab_size:  # the largest tensor there is: not for nothing twice in memory
        return tensors[0]
    padded = tensors[0].new_zeros(model.padded_vocab_size, model.hidden_size)
    padded[: model.vocab_size] = tensors[0]
    return padded


def _strip_rows(tensor: Tensor, model: ModelConfig) -> list[Tensor]:
    return [tensor[: model.vocab_size]]


def _join_qkv(tensors: list[Tensor], model: ModelConfig) -> Tensor:
    by_group = [tensor.reshape(model.num_query_groups, -1, *tensor.shape[1:]) for tensor in tensors]
    return torch.cat(by_group, dim=1).reshape(-1, *tensors[0].shape[1:])


def _split_qkv(tensor: Tensor, model: ModelConfig) -> list[Tensor]:
    queries = model.num_attention_heads // model.num_query_groups
    by_group = tensor.reshape(model.num_query_groups, (queries + 2) * model.head_dim, *tensor.shape[1:])
    sizes = [queries * model.head_dim, model.head_dim, model.head_dim]
    return [part.reshape(-1, *tensor.shape[1:]) for part in by_group.split(sizes, dim=1)]


def _halves(tensor: Tensor, model: ModelConfig) -> list[Tensor]:
    return list(tensor.chunk(2))


_LAYER = "decoder.layers."
_HF_LAYER = "model.layers.{layer}."
_ATTENTION = _HF_LAYER + "self_attn."

_TABLE = (
    Mapping("embedding.word_embeddings.weight", ("model.embed_tokens.weight",), _pad_rows, _strip_rows),
    Mapping(_LAYER + "self_attention.linear_qkv.layer_norm_weight", (_HF_LAYER + "input_layernorm.weight",)),
    *(
        Mapping(
            _LAYER + f"self_attention.linear_qkv.{kind}",
            tuple(_ATTENTION + f"{name}_proj.{kind}" for name in "qkv"),
            _join_qkv,
            _split_qkv,
        )
        for kind in ("weight", "bias")
    ),
    Mapping(_LAYER + "self_attention.linear_proj.weight", (_ATTENTION + "o_proj.weight",)),
    Mapping(_LAYER + "mlp.linear_fc1.layer_norm_weight", (_HF_LAYER + "post_attention_layernorm.weight",)),
    Mapping(
        _LAYER + "mlp.linear_fc1.weight",
        (_HF_LAYER + "mlp.gate_proj.weight", _HF_LAYER + "mlp.up_proj.weight"),
        lambda tensors, model: torch.cat(tensors),
        _halves,
    ),
    Mapping(_LAYER + "mlp.linear_fc2.weight", (_HF_LAYER + "mlp.down_proj.weight",)),
    Mapping("decoder.final_layernorm.weight", ("model.norm.weight",)),
    Mapping("output_layer.weight", ("lm_head.weight",), _pad_rows, _strip_rows),
)


def mappings(model: ModelConfig) -> dict[str, Mapping]:
    """The table of ``model`` by megatron-core name; a tied model has no output layer, Llama no biases."""
    table = {mapping.megatron: mapping for mapping in _TABLE}
    if model.tie_embeddings:
        del table["output_layer.weight"]
    if not model.qkv_bias:
        del table[_LAYER + "self_attention.linear_qkv.bias"]
    return table


def parameters(model: ModelConfig) -> Iterator[tuple[Mapping, int | None]]:
    """Every (mapping, layer) of ``model`` in the order in which an export writes them."""
    table = list(mappings(model).values())
    layered = [mapping for mapping in table if mapping.megatron.startswith(_LAYER)]
    yield table[0], None
    for layer in range(model.num_layers):
        yield from ((mapping, layer) for mapping in layered)
    yield from ((mapping, None) for mapping in table[1:] if mapping not in layered)


def hf_names(mapping: Mapping, layer: int | None) -> list[str]:
    """The HF tensor names of ``mapping`` in ``layer``."""
    return [name.format(layer=layer) for name in mapping.hf]
