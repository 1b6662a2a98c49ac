"""Which Hugging Face tensors make up each megatron-core parameter: one table for Qwen2 and Llama.

They differ in the biases of Q, K and V alone.

megatron-core stores Q, K and V of one key/value group side by side (``[q..q k v] x groups``), and the gate above the
up projection; embeddings have padded rows, which an export strips. All consist of whole rows of HF tensors.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from megatron_rfft.models.config import ModelConfig

Block = tuple[int, int, int]
"""Rows of an HF tensor: its place in the mapping's ``hf``, the first row, and that after the last."""


@dataclass(frozen=True)
class Mapping:
    """One megatron-core parameter and the HF tensors that it consists of.

    ``blocks`` names all their rows in the parameter's order; None: the one tensor as it is. A parameter that is
    ``padded`` may have more rows than these.
    """

    megatron: str
    hf: tuple[str, ...]
    blocks: Callable[[ModelConfig], list[Block]] | None = None
    padded: bool = False

    def joined(self, model: ModelConfig, rows: int) -> list[Block]:
        """The HF rows that the parameter of ``rows`` rows consists of, in its order; padding is left out."""
        return self.blocks(model) if self.blocks else [(0, 0, rows)]

    def split(self, model: ModelConfig, rows: int) -> list[list[tuple[int, int]]]:
        """For each HF tensor the (first, last + 1) rows of the parameter that it consists of, in its order."""
        ranges: list[list[tuple[int, int]]] = [[] for _ in self.hf]
        position = 0
        for part, start, stop in self.joined(model, rows):
            ranges[part].append((position, position + stop - start))
            position += stop - start
        return ranges


def _vocabulary(model: ModelConfig) -> list[Block]:
    return [(0, 0, model.vocab_size)]


def _by_group(model: ModelConfig) -> list[Block]:
    queries = model.num_attention_heads // model.num_query_groups
    heads = [
        (part, group, size) for group in range(model.num_query_groups) for part, size in enumerate((queries, 1, 1))
    ]
    return [(part, group * size * model.head_dim, (group + 1) * size * model.head_dim) for part, group, size in heads]


def _gate_and_up(model: ModelConfig) -> list[Block]:
    return [(0, 0, model.ffn_hidden_size), (1, 0, model.ffn_hidden_size)]


_LAYER = "decoder.layers."
_HF_LAYER = "model.layers.{layer}."
_ATTENTION = _HF_LAYER + "self_attn."

_TABLE = (
    Mapping("embedding.word_embeddings.weight", ("model.embed_tokens.weight",), _vocabulary, True),
    Mapping(_LAYER + "self_attention.linear_qkv.layer_norm_weight", (_HF_LAYER + "input_layernorm.weight",)),
    *(
        Mapping(
            _LAYER + f"self_attention.linear_qkv.{kind}",
            tuple(_ATTENTION + f"{name}_proj.{kind}" for name in "qkv"),
            _by_group,
        )
        for kind in ("weight", "bias")
    ),
    Mapping(_LAYER + "self_attention.linear_proj.weight", (_ATTENTION + "o_proj.weight",)),
    Mapping(_LAYER + "mlp.linear_fc1.layer_norm_weight", (_HF_LAYER + "post_attention_layernorm.weight",)),
    Mapping(
        _LAYER + "mlp.linear_fc1.weight",
        (_HF_LAYER + "mlp.gate_proj.weight", _HF_LAYER + "mlp.up_proj.weight"),
        _gate_and_up,
    ),
    Mapping(_LAYER + "mlp.linear_fc2.weight", (_HF_LAYER + "mlp.down_proj.weight",)),
    Mapping("decoder.final_layernorm.weight", ("model.norm.weight",)),
    Mapping("output_layer.weight", ("lm_head.weight",), _vocabulary, True),
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
    """Every (mapping, layer) of ``model`` in the order in which both directions write them."""
    table = list(mappings(model).values())
    layered = [mapping for mapping in table if mapping.megatron.startswith(_LAYER)]
    yield table[0], None
    for layer in range(model.num_layers):
        yield from ((mapping, layer) for mapping in layered)
    yield from ((mapping, None) for mapping in table[1:] if mapping not in layered)


def hf_names(mapping: Mapping, layer: int | None) -> list[str]:
    """The HF tensor names of ``mapping`` in ``layer``."""
    return [name.format(layer=layer) for name in mapping.hf]
