"""Bytes of one rank by formula: parameters, gradients and optimizer states to the byte, activations estimated.

The first three follow megatron-core's buffers (padding included), and tests compare them with a real construction.
Activations are what Transformer Engine's fused layers with flash attention keep for the backward pass, read in 2.20.2.
"""

import math
from dataclasses import dataclass, fields, replace
from functools import cache

from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.fp8 import NONE, RECIPES
from megatron_rfft.models.geometry import Linear, Norm
from megatron_rfft.planning.gpus import GIB
from megatron_rfft.planning.layout import Layout, Workload

# What no formula gives: the CUDA context and libraries (about 1 GiB), NCCL's buffers for the groups of a 3-D layout
# (about 2), cuBLAS's and Transformer Engine's workspaces (about 1). An assumption, to be measured.
OVERHEAD = 4 * GIB
# The share of activations that the allocator loses in gaps (with expandable segments).
FRAGMENTATION = 0.05
LOGIT_LOSS_BYTES = 4  # of the fp32 softmax that megatron-core's cross entropy keeps; Transformer Engine's keeps none
USER_BUFFERS = (
    10  # of a micro-batch's hidden states: one for each product and direction that Transformer Engine overlaps
)
BUCKET = (40_000_000, 1_000_000)  # megatron-core's bucket size: at least the first, the second times DP


@dataclass(frozen=True)
class RankMemory:
    """Bytes of one rank at its peak."""

    parameters: int
    gradients: int
    optimizer: int
    fp8_weights: int
    activations: int
    logits: int
    workspace: int
    overhead: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, entry.name) for entry in fields(self))

    @property
    def largest(self) -> str:
        """The item that takes most."""
        return max((entry.name for entry in fields(self)), key=lambda name: getattr(self, name))


@dataclass(frozen=True)
class Parameter:
    """A parameter's part on one rank."""

    name: str
    numel: int
    trained: bool = True
    shared: bool = False
    """A tied embedding with a copy on another stage: it has a bucket of its own."""


def chunk_parameters(model: ModelConfig, work: Workload, layout: Layout, first: bool, last: bool) -> list[Parameter]:
    """The parameters of one model chunk on one tensor-parallel rank, in megatron-core's order.

    ``first`` and ``last``: the chunk holds the embedding, the output layer.
    """
    geometry, full = model.geometry, work.adapter_rank == 0
    tied_apart = model.tie_embeddings and layout.pipeline > 1
    layer = [one for part in _as_constructed(geometry.layer) for one in _parameters(part, work, layout.tensor)]
    vocabulary = math.prod(geometry.embedding.on_rank(layout.tensor))
    parameters = [Parameter("embedding", vocabulary, full, tied_apart)] if first else []
    parameters += layer * layout.chunk_layers(model)
    if last:
        parameters += _parameters(geometry.final_layernorm, work, layout.tensor)
        if geometry.output_layer or tied_apart:
            parameters.append(Parameter("output_layer", vocabulary, full, tied_apart))
    return parameters


def stage_parameters(model: ModelConfig, work: Workload, layout: Layout, stage: int) -> list[Parameter]:
    """The parameters of all chunks of a pipeline stage on one tensor-parallel rank."""
    chunks = [_ends(layout, stage, chunk) for chunk in range(layout.virtual_pipeline)]
    return [one for ends in chunks for one in chunk_parameters(model, work, layout, *ends)]


def _as_constructed(layer: tuple[Linear | Norm, ...]) -> list[Linear | Norm]:
    """megatron-core makes attention's output projection before Q, K and V: buffers are laid out in that order."""
    return sorted(layer, key=lambda part: ["input_layernorm", "linear_proj", part.name].index(part.name))


def _parameters(part: Linear | Norm, work: Workload, tensor: int) -> list[Parameter]:
    """A rank's share of a norm, or of a matrix with its bias and its adapters."""
    full = work.adapter_rank == 0
    if isinstance(part, Norm):
        return [Parameter(part.name, part.size, full)]
    rows, columns = part.on_rank(tensor)
    found = [Parameter(f"{part.name}.weight", rows * columns, full)]
    if part.bias:
        found.append(Parameter(f"{part.name}.bias", rows, full))
    if not full and part.name in work.adapter_targets:
        found += _adapter(part, work, rows, columns)
    return found


def _adapter(linear: Linear, work: Workload, rows: int, columns: int) -> list[Parameter]:
    """One adapter per projection of ``rows`` and ``columns`` on this rank: factors A stacked, factors B apart."""
    outputs = [size * rows // linear.rows for size in linear.outputs]
    sizes = [work.adapter_rank * columns * len(outputs), *(work.adapter_rank * size for size in outputs)]
    trained = [Parameter(f"{linear.name}.adapter", size) for size in sizes]
    return trained + [Parameter(f"{linear.name}.start", size, False) for size in sizes if work.adapter_start]


@dataclass(frozen=True)
class Bucket:
    """A part of a buffer, split evenly over the shards."""

    start: int
    end: int
    """Padding included."""
    parameters: tuple[tuple[int, int], ...]
    """Start and end of each parameter, in the buffer."""

    def shard_elements(self, shard: int, shards: int) -> int:
        """Parameter elements, without padding, in one shard."""
        size = (self.end - self.start) // shards
        low = self.start + shard * size
        return sum(max(0, min(low + size, end) - max(low, start)) for start, end in self.parameters)


@dataclass(frozen=True)
class Buffer:
    """Trained parameters of a chunk in one flat buffer."""

    buckets: tuple[Bucket, ...]

    @property
    def elements(self) -> int:
        """Padding included."""
        return self.buckets[-1].end if self.buckets else 0

    @classmethod
    def lay_out(cls, parameters: list[Parameter], shards: int, bucket_size: int | None, padded: bool) -> "Buffer":
        """As megatron-core does it: last parameter first, and if ``padded`` (distributed optimizer) each parameter at a
        multiple of 64 elements and each bucket up to a multiple of lcm(shards, 128).
        """
        multiple = math.lcm(shards, 128) if padded else 1
        buckets: list[Bucket] = []
        places: list[tuple[int, int]] = []
        start = position = 0

        def close() -> int:
            end = -(-position // multiple) * multiple
            buckets.append(Bucket(start, end, tuple(places)))
            places.clear()
            return end

        for parameter in reversed(parameters):
            if padded:
                position = -(-position // 64) * 64
                if parameter.shared and places:
                    start = position = close()
            places.append((position, position + parameter.numel))
            position += parameter.numel
            if (bucket_size is not None and position - start >= bucket_size) or (padded and parameter.shared):
                start = position = close()
        if places:
            close()
        return cls(tuple(buckets))

    def shard_elements(self, shard: int, shards: int) -> int:
        """Parameter elements, without padding, in one shard of all buckets."""
        return sum(bucket.shard_elements(shard, shards) for bucket in self.buckets)


def state_bytes(model: ModelConfig, work: Workload, layout: Layout, stage: int, shard: int = 0) -> tuple[int, int, int]:
    """Exact bytes of parameters, gradients and optimizer states of one rank.

    ``stage`` is its pipeline stage, ``shard`` its rank in the group that splits the optimizer states.
    """
    layout = replace(layout, micro_batch=1, recompute="none", recompute_layers=None)  # which do not matter here
    return _state_bytes(model, work, layout, stage, shard)


@cache
def _state_bytes(model: ModelConfig, work: Workload, layout: Layout, stage: int, shard: int) -> tuple[int, int, int]:
    weights = gradients = optimizer = 0
    states = 12 if work.dtype == "bf16" else 8  # fp32 main weights and two moments; fp32 weights are their own main
    for chunk in range(layout.virtual_pipeline):
        buffer, frozen = _chunk_buffer(model, work, layout, *_ends(layout, stage, chunk))
        weights += (buffer.elements + frozen) * work.width
        gradients += buffer.elements * work.gradient_width
        own = buffer.shard_elements(shard, layout.shards) if work.distributed_optimizer else buffer.elements
        optimizer += own * states
    return weights, gradients, optimizer


@cache
def _chunk_buffer(model: ModelConfig, work: Workload, layout: Layout, first: bool, last: bool) -> tuple[Buffer, int]:
    """The buffer of trained parameters, and the number of frozen ones.

    Only the first stage's first chunk reduces its gradients in several buckets, and only while computing.
    """
    parameters = chunk_parameters(model, work, layout, first, last)
    bucket_size = max(BUCKET[0], BUCKET[1] * layout.data) if first and work.overlap else None
    trained = [parameter for parameter in parameters if parameter.trained]
    frozen = sum(parameter.numel for parameter in parameters if not parameter.trained)
    return Buffer.lay_out(trained, layout.shards, bucket_size, work.distributed_optimizer), frozen


def _ends(layout: Layout, stage: int, chunk: int) -> tuple[bool, bool]:
    last = stage == layout.pipeline - 1 and chunk == layout.virtual_pipeline - 1
    return stage == 0 and chunk == 0, last


def fp8_layers(model: ModelConfig, work: Workload, layout: Layout, stage: int) -> int:
    """Layers of a pipeline stage whose matrices run in FP8."""
    if work.fp8 == NONE:
        return 0
    with_bf16 = [0, layout.pipeline - 1] if work.fp8_first_last_bf16 else []
    return max(0, model.num_layers // layout.pipeline - with_bf16.count(stage))


def fp8_weight_bytes(model: ModelConfig, work: Workload, layout: Layout, stage: int) -> int:
    """Bytes of the rounded weights that Transformer Engine keeps on a rank of ``stage``, those of frozen ones too."""
    if work.fp8 == NONE:
        return 0
    weights = sum(math.prod(linear.on_rank(layout.tensor)) for linear in model.geometry.linears.values())
    return fp8_layers(model, work, layout, stage) * weights * RECIPES[work.fp8].weight_bytes


def layer_activations(model: ModelConfig, work: Workload, layout: Layout, recompute: str = "none") -> int:
    """Bytes that one layer (in FP8, if ``work`` is) keeps of one micro-batch.

    Both norms' inputs, what the matrices keep of theirs, Q, K and V (Q and K twice where they have norms), the
    attention's output, which is its projection's input, and both halves of the gate. Selective recomputation leaves out
    what is inside the MLP and its norm, full all but the layer's input.
    """
    hidden, ffn, width = model.hidden_size, model.ffn_hidden_size, work.width
    if recompute == "full":
        replicated, split = hidden * width, 0.0
    else:
        replicated = hidden * (2 * width + _input_bytes(work, "linear_qkv"))
        split = (2 + model.family.qk_norm) * (model.query_size + model.key_size) * width
    if recompute == "none":
        replicated += hidden * _input_bytes(work, "linear_fc1")
        split += ffn * (2 * (1 if work.fp8_activation_input else width) + _input_bytes(work, "linear_fc2"))
    return round(
        _tokens(work, layout) * (replicated / (layout.tensor if layout.sequence else 1) + split / layout.tensor)
    )


def _input_bytes(work: Workload, linear: str) -> float:
    """Bytes for the backward pass of each entry of a matrix's input: for its own gradient, or its adapter's."""
    own = work.width if work.fp8 == NONE else RECIPES[work.fp8].input_bytes
    if not work.adapter_rank:
        return own
    if linear not in work.adapter_targets:
        return 0.0
    # The adapter keeps what it reads, in BF16. A matrix fused with a norm, told to hand the norm's output out, does not
    # let go of its own copy in FP8, though its frozen weight needs none.
    return work.width + (own if work.fp8 != NONE and linear != "linear_fc2" else 0)


def _tokens(work: Workload, layout: Layout) -> float:
    return layout.capacity(work) / layout.context


def live_micro_batches(layout: Layout, stage: int, micro_batches: int) -> int:
    """Forward passes of chunks whose activations a stage holds at once, under megatron-core's schedules."""
    if layout.virtual_pipeline == 1:
        return min(layout.pipeline - stage, micro_batches)
    warm_up = 2 * (layout.pipeline - stage - 1) + (layout.virtual_pipeline - 1) * layout.pipeline
    return min(warm_up + 1, micro_batches * layout.virtual_pipeline)


def _chunk_activations(model: ModelConfig, work: Workload, layout: Layout, stage: int) -> float:
    """Bytes that a chunk's layers keep of one micro-batch, with layers in BF16 and recomputed ones spread evenly."""
    layers, again = layout.chunk_layers(model), layout.recomputed_layers(model)
    share = fp8_layers(model, work, layout, stage) / (layers * layout.virtual_pipeline)

    def layer(recompute: str) -> float:
        plain = layer_activations(model, replace(work, fp8=NONE), layout, recompute)
        return share * layer_activations(model, work, layout, recompute) + (1 - share) * plain

    return again * layer(layout.recompute) + (layers - again) * layer("none")


def rank_memory(model: ModelConfig, work: Workload, layout: Layout, stage: int, shard: int = 0) -> RankMemory:
    """Peak bytes of a rank of pipeline stage ``stage``."""
    weights, gradients, optimizer = state_bytes(model, work, layout, stage, shard)
    tokens, width, hidden = _tokens(work, layout), work.width, model.hidden_size
    residual = tokens * width * hidden / (layout.tensor if layout.sequence else 1)
    activations = _chunk_activations(model, work, layout, stage)
    activations *= live_micro_batches(layout, stage, layout.micro_batches(work))
    # In the backward pass of a layer: gradients of the MLP's inner activations (in FP8 those of the gate, and both
    # roundings of them), the gathered input and its gradient, and what is computed again.
    gradients_inside = 3 * width if work.fp8 == NONE else 2 * (width + 2)
    workspace = tokens * (gradients_inside * model.ffn_hidden_size / layout.tensor + 2 * width * hidden)
    workspace += layer_activations(model, work, layout) - layer_activations(model, work, layout, layout.recompute)
    if work.tensor_overlap and layout.tensor > 1:  # in FP8, those of the layers that stay in bf16 as well
        workspace += USER_BUFFERS * tokens * width * hidden
    logits = 0.0
    if stage == layout.pipeline - 1:
        kept = width + (0 if work.te_cross_entropy else LOGIT_LOSS_BYTES)
        logits = tokens * model.padded_vocab_size / layout.tensor * kept + 2 * residual
    moving = activations + logits + workspace
    return RankMemory(
        weights,
        gradients,
        optimizer,
        fp8_weight_bytes(model, work, layout, stage),
        round(activations),
        round(logits),
        round(workspace),
        OVERHEAD + round(FRAGMENTATION * moving),
    )


@dataclass(frozen=True)
class RankKind:
    """Ranks with the same memory, named by the first of them."""

    rank: int
    stage: int
    shard: int
    ranks: int
    """How many there are."""
    memory: RankMemory


def distinct_ranks(model: ModelConfig, work: Workload, layout: Layout) -> list[RankKind]:
    """Every kind of rank: by stage, and by how much padding its shard of the optimizer states holds."""
    kinds: dict[tuple[int, RankMemory], list[int]] = {}
    for stage in range(layout.pipeline):
        for shard in range(layout.shards if work.distributed_optimizer else 1):
            memory = rank_memory(model, work, layout, stage, shard)
            kinds.setdefault((stage, memory), []).append(shard)
    each = layout.tensor * (1 if work.distributed_optimizer else layout.shards)
    return [
        RankKind(rank_of(layout, stage, shards[0]), stage, shards[0], each * len(shards), memory)
        for (stage, memory), shards in kinds.items()
    ]


def rank_of(layout: Layout, stage: int, shard: int) -> int:
    """The first tensor-parallel rank of a shard: megatron-core counts tensor, context, data, then pipeline."""
    return layout.tensor * (shard + layout.shards * stage)
