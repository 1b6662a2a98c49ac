"""The matrices and norms of a model, listed once: their names, shapes, biases, and how tensor parallelism splits them.

Parameters, FLOPs, memory, speed, adapters, conversion and benchmarks are reckoned from this list.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from megatron_rfft.models.config import ModelConfig

LAYERS = "decoder.layers."
"""What the names of all parts of a layer begin with; megatron-core's sharded checkpoints leave its number out."""


class Parallel(Enum):
    """What a tensor-parallel rank holds of a weight ``[outputs, inputs]``."""

    COLUMN = "column"
    """Some of its outputs: megatron-core's ColumnParallelLinear. An embedding's outputs are the vocabulary."""
    ROW = "row"
    """Some of its inputs: megatron-core's RowParallelLinear."""
    REPLICATED = "replicated"
    """All of it."""


@dataclass(frozen=True)
class Linear:
    """A matrix, and the projections that megatron-core fuses in it, as Hugging Face has them.

    Each of ``groups`` blocks of rows holds a share of every projection: ``[q..q k v] x key/value heads``.
    """

    name: str
    """The last part of its path, or what it is called where that says nothing."""
    path: str
    """Its module in megatron-core, without the layer's number."""
    parts: tuple[str, ...]
    """The projections, in the order of the fused matrix."""
    outputs: tuple[int, ...]
    """Rows of each projection."""
    inputs: int
    """Columns."""
    parallel: Parallel
    bias: bool = False
    groups: int = 1
    padded_rows: int | None = None
    """Rows in training where these are padded; None: they never are."""

    @property
    def weight(self) -> str:
        """Its weight in megatron-core's sharded checkpoints."""
        return f"{self.path}.weight"

    @property
    def rows(self) -> int:
        """Outputs of all projections."""
        return sum(self.outputs)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(outputs, inputs) of each projection, unsplit."""
        return [(rows, self.inputs) for rows in self.outputs]

    @property
    def num_weights(self) -> int:
        """Entries of the matrix, without padding."""
        return self.rows * self.inputs

    @property
    def num_parameters(self) -> int:
        """Weights and biases, without padding."""
        return self.num_weights + (self.rows if self.bias else 0)

    def on_rank(self, tensor_parallel: int) -> tuple[int, int]:
        """(rows, columns) that one tensor-parallel rank holds, with padding."""
        rows = self.padded_rows or self.rows
        if self.parallel is Parallel.ROW:
            return rows, self.inputs // tensor_parallel
        return rows // tensor_parallel, self.inputs


@dataclass(frozen=True)
class Norm:
    """An RMSNorm's weight."""

    name: str
    weight: str
    """Its name in megatron-core's sharded checkpoints, without the layer's number."""
    size: int
    parallel: Parallel = Parallel.REPLICATED

    @property
    def num_parameters(self) -> int:
        """Entries."""
        return self.size


@dataclass(frozen=True)
class Geometry:
    """A model's parts, in the order in which a token passes them."""

    embedding: Linear
    layer: tuple[Linear | Norm, ...]
    """Of every layer."""
    final_layernorm: Norm
    output_layer: Linear | None
    """None: it is the embedding (tied)."""

    @property
    def linears(self) -> dict[str, Linear]:
        """The matrices of a layer by name."""
        return {part.name: part for part in self.layer if isinstance(part, Linear)}

    @property
    def layer_weights(self) -> int:
        """Weights of a layer's matrices: what each token is multiplied with."""
        return sum(linear.num_weights for linear in self.linears.values())

    def parts(self) -> Iterator[Linear | Norm]:
        """Every part, those of a layer once."""
        yield self.embedding
        yield from self.layer
        yield self.final_layernorm
        if self.output_layer:
            yield self.output_layer

    def num_parameters(self, num_layers: int) -> int:
        """Parameters of a model with ``num_layers`` layers, without vocabulary padding."""
        once = sum(part.num_parameters for part in self.parts())
        return once + (num_layers - 1) * sum(part.num_parameters for part in self.layer)


LINEARS = ("linear_qkv", "linear_proj", "linear_fc1", "linear_fc2")
"""The names of a layer's matrices, the same in every family."""


@cache
def geometry_of(model: "ModelConfig") -> Geometry:
    """The parts of ``model``."""
    hidden, ffn = model.hidden_size, model.ffn_hidden_size
    queries, keys = model.query_size, model.key_size
    attention, mlp = f"{LAYERS}self_attention.", f"{LAYERS}mlp."
    column, row = Parallel.COLUMN, Parallel.ROW
    qkv, proj, fc1, fc2 = LINEARS
    qk_norms = [
        Norm(f"{part}_layernorm", f"{attention}{part}_layernorm.weight", model.head_dim)
        for part in ("q", "k")
        if model.family.qk_norm
    ]
    return Geometry(
        _vocabulary(model, "embedding", "embedding.word_embeddings"),
        (
            # megatron-core keeps a norm with the matrix that it precedes: Transformer Engine fuses the two.
            Norm("input_layernorm", f"{attention}{qkv}.layer_norm_weight", hidden),
            Linear(
                qkv,
                attention + qkv,
                ("q", "k", "v"),
                (queries, keys, keys),
                hidden,
                column,
                bias=model.family.qkv_bias,
                groups=model.num_query_groups,
            ),
            *qk_norms,
            Linear(proj, attention + proj, ("o",), (hidden,), queries, row),
            Norm("pre_mlp_layernorm", f"{mlp}{fc1}.layer_norm_weight", hidden),
            Linear(fc1, mlp + fc1, ("gate", "up"), (ffn, ffn), hidden, column),
            Linear(fc2, mlp + fc2, ("down",), (hidden,), ffn, row),
        ),
        Norm("final_layernorm", "decoder.final_layernorm.weight", hidden),
        None if model.tie_embeddings else _vocabulary(model, "output_layer", "output_layer"),
    )


def _vocabulary(model: "ModelConfig", name: str, path: str) -> Linear:
    """The embedding or the output layer."""
    return Linear(
        name,
        path,
        (name,),
        (model.vocab_size,),
        model.hidden_size,
        Parallel.COLUMN,
        padded_rows=model.padded_vocab_size,
    )
