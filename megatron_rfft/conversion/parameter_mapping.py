"""Which Hugging Face tensors make up each megatron-core parameter: one table of names, for all families.

megatron-core stores Q, K and V of one key/value group side by side (``[q..q k v] x groups``), and the gate above the
up projection; embeddings have padded rows, which an export strips. All consist of whole rows of HF tensors.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.geometry import LAYERS, Linear, Norm

Block = tuple[int, int, int]
"""Rows of an HF tensor: its place in the mapping's ``hf``, the first row, and that after the last."""

_HF = {
    "embedding": "model.embed_tokens",
    "input_layernorm": "model.layers.{layer}.input_layernorm",
    **{part: f"model.layers.{{layer}}.self_attn.{part}_proj" for part in ("q", "k", "v", "o")},
    **{f"{part}_layernorm": f"model.layers.{{layer}}.self_attn.{part}_norm" for part in "qk"},
    "pre_mlp_layernorm": "model.layers.{layer}.post_attention_layernorm",
    **{part: f"model.layers.{{layer}}.mlp.{part}_proj" for part in ("gate", "up", "down")},
    "final_layernorm": "model.norm",
    "output_layer": "lm_head",
}
"""The HF module of each norm, and of each projection in a matrix, by its name in models/geometry.py."""


@dataclass(frozen=True)
class ParameterMapping:
    """One megatron-core parameter and the HF tensors that it consists of."""

    megatron: str
    hf: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    """Of the HF tensors."""
    blocks: tuple[Block, ...]
    """All their rows in the parameter's order."""
    padded: bool = False
    """The parameter may have more rows than these."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the parameter, without padding."""
        return (sum(shape[0] for shape in self.shapes), *self.shapes[0][1:])

    def split(self) -> list[list[tuple[int, int]]]:
        """For each HF tensor the (first, last + 1) rows of the parameter that it consists of, in its order."""
        ranges: list[list[tuple[int, int]]] = [[] for _ in self.hf]
        position = 0
        for part, start, stop in self.blocks:
            ranges[part].append((position, position + stop - start))
            position += stop - start
        return ranges


def mappings(model: ModelConfig) -> dict[str, ParameterMapping]:
    """The table of ``model`` by megatron-core name, in the order in which a token passes them."""
    found = [mapping for part in model.geometry.parts() for mapping in _mappings(part)]
    return {mapping.megatron: mapping for mapping in found}


def _mappings(part: Linear | Norm) -> Iterator[ParameterMapping]:
    """The parameters of ``part``: weight, and bias where it has one."""
    if isinstance(part, Norm):
        yield ParameterMapping(part.weight, (f"{_HF[part.name]}.weight",), ((part.size,),), ((0, 0, part.size),))
        return
    shares = [rows // part.groups for rows in part.outputs]
    blocks = tuple(
        (number, group * rows, (group + 1) * rows) for group in range(part.groups) for number, rows in enumerate(shares)
    )
    padded = part.padded_rows is not None
    for kind in ("weight", "bias") if part.bias else ("weight",):
        names = tuple(f"{_HF[name]}.{kind}" for name in part.parts)
        shapes = tuple(shape if kind == "weight" else shape[:1] for shape in part.shapes)
        yield ParameterMapping(f"{part.path}.{kind}", names, shapes, blocks, padded)


def parameters(model: ModelConfig) -> Iterator[tuple[ParameterMapping, int | None]]:
    """Every (mapping, layer) of ``model`` in the order in which both directions write them."""
    table = list(mappings(model).values())
    layered = [mapping for mapping in table if mapping.megatron.startswith(LAYERS)]
    yield table[0], None
    for layer in range(model.num_layers):
        yield from ((mapping, layer) for mapping in layered)
    yield from ((mapping, None) for mapping in table[1:] if mapping not in layered)


def export_order(model: ModelConfig) -> list[tuple[str, int | None]]:
    """Names (without layer numbers) and layers of the parameters, as an export writes them.

    A state written in this order is read from beginning to end by an export, which takes its checksum on the way.
    """
    return [(mapping.megatron, layer) for mapping, layer in parameters(model)]


def hf_names(mapping: ParameterMapping, layer: int | None) -> list[str]:
    """The HF tensor names of ``mapping`` in ``layer``."""
    return [name.format(layer=layer) for name in mapping.hf]
