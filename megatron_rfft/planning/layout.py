"""What a plan is about: the work of a run, which no layout changes, and a layout of it over GPUs."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.config import TrainConfig

UNEVEN = 1.04
"""Micro-batches of documents are padded to the longest of a step. Dealt out in micro-batches of 3,072, 6,144 and 12,288
tokens, 600 steps of 32 documents of the held-out tasks (836 tokens on average) had 7, 4 and 1 % of padding."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is trained and how precisely: the same in every layout."""

    sequence_length: int
    """Tokens per sequence."""
    global_batch_size: int
    """Sequences (or documents, see document_mean) per step."""
    steps: int
    """Optimizer steps."""
    document_tokens: float | None = None
    """Tokens of the document that a token stands in, on average over tokens: what packed attention looks back on, twice
    over. None: the whole sequence is one document."""
    document_mean: float | None = None
    """Mean tokens of a document where a step counts documents and lays them end to end in micro-batches of at most so
    many sequences' tokens (data.packed false). None: a step counts sequences."""
    dtype: str = "bf16"
    """Parameters and activations: bf16 or fp32."""
    fp8: str = "none"
    """Scaling of FP8 linear layers: none, tensorwise or blockwise."""
    fp8_first_last_bf16: bool = True
    """The first and the last layer stay in BF16."""
    distributed_optimizer: bool = True
    """Optimizer states are split over the data-parallel ranks."""
    overlap: bool = True
    """Gradients are reduced and parameters gathered while computing."""
    gradients: str = "fp32"
    """Format in which gradients are added up: fp32 or bf16."""
    fp8_activation_input: bool = False
    """The MLP's activation keeps its input in one byte an entry."""
    te_cross_entropy: bool = False
    """The loss keeps no fp32 copy of the logits."""
    tensor_overlap: bool = False
    """Tensor-parallel traffic runs under the matrix products, by Transformer Engine's user buffers."""
    adapter_rank: int = 0
    """Rank of the adapters, which alone are trained; 0: all parameters are."""
    adapter_targets: tuple[str, ...] = ("linear_qkv", "linear_proj", "linear_fc1", "linear_fc2")
    """Linear layers that have adapters, one for each projection in them."""
    adapter_start: bool = False
    """The adapters' first values are kept beside them (PiSSA)."""

    @property
    def tokens_per_step(self) -> int:
        """Tokens that the model reads in a step, padding included."""
        if self.document_mean is None:
            return self.global_batch_size * self.sequence_length
        return round(self.global_batch_size * self.document_mean * UNEVEN)

    @property
    def attended(self) -> float:
        """Tokens that attention spans."""
        return self.document_tokens or self.sequence_length

    @property
    def width(self) -> int:
        """Bytes of a parameter or an activation."""
        return 2 if self.dtype == "bf16" else 4

    @property
    def gradient_width(self) -> int:
        """Bytes of a gradient."""
        return 2 if self.gradients == "bf16" else 4


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a run is spread over GPUs."""

    tensor: int = 1
    """Ranks that each matrix is split over."""
    pipeline: int = 1
    """Stages that the layers are split into."""
    virtual_pipeline: int = 1
    """Model chunks per stage."""
    context: int = 1
    """Ranks that each sequence is split over."""
    data: int = 1
    """Replicas, which share the sequences of a step."""
    sequence: bool = False
    """Norms and residuals are split along the sequence over the tensor-parallel ranks."""
    micro_batch: int = 1
    """Sequences per forward pass; of documents, the tokens of so many sequences are the most."""
    recompute: str = "none"
    """Activations computed again in the backward pass: none, selective (the MLP) or full (whole layers)."""
    recompute_layers: int | None = None
    """In so many layers of each chunk; None: in all."""

    @property
    def gpus(self) -> int:
        """GPUs in all."""
        return self.tensor * self.pipeline * self.context * self.data

    @property
    def shards(self) -> int:
        """Ranks that the optimizer states are split over."""
        return self.data * self.context

    def chunk_layers(self, model: ModelConfig) -> int:
        """Layers of a model chunk."""
        return model.num_layers // (self.pipeline * self.virtual_pipeline)

    def recomputed_layers(self, model: ModelConfig) -> int:
        """Those of them that are computed again."""
        layers = self.chunk_layers(model)
        return 0 if self.recompute == "none" else min(layers, self.recompute_layers or layers)

    def micro_batches(self, workload: Workload) -> int:
        """Forward passes of each rank in a step."""
        if workload.document_mean is None:
            return workload.global_batch_size // (self.micro_batch * self.data)
        alike = self.data * (self.pipeline if self.virtual_pipeline > 1 else 1)
        return math.ceil(workload.tokens_per_step / (self.capacity(workload) * alike)) * alike // self.data

    def capacity(self, workload: Workload) -> int:
        """Most tokens of a micro-batch."""
        return workload.sequence_length * self.micro_batch

    def micro_batch_tokens(self, workload: Workload) -> float:
        """Tokens of a micro-batch, on average over steps."""
        if workload.document_mean is None:
            return self.capacity(workload)
        return workload.tokens_per_step / (self.micro_batches(workload) * self.data)

    def __str__(self) -> str:
        parts = [f"TP{self.tensor}", f"PP{self.pipeline}"]
        if self.virtual_pipeline > 1:
            parts.append(f"VPP{self.virtual_pipeline}")
        if self.context > 1:
            parts.append(f"CP{self.context}")
        parts.append(f"DP{self.data}")
        if self.sequence:
            parts.append("SP")
        parts.append(f"mbs{self.micro_batch}")
        if self.recompute != "none":
            parts.append(f"recompute {self.recompute}")
            parts += [str(self.recompute_layers)] if self.recompute_layers else []
        return " ".join(parts)


# Layout field -> (section, key) of the config.
_KEYS = {
    "tensor": ("parallel", "tensor"),
    "pipeline": ("parallel", "pipeline"),
    "virtual_pipeline": ("parallel", "virtual_pipeline"),
    "context": ("parallel", "context"),
    "sequence": ("parallel", "sequence"),
    "micro_batch": ("batch", "micro_batch_size"),
    "recompute": ("memory", "recompute"),
    "recompute_layers": ("memory", "recompute_layers"),
}


def workload_from_config(
    config: TrainConfig, document_tokens: float | None = None, document_mean: float | None = None
) -> Workload:
    """The work that ``config`` describes, with documents of ``document_tokens``, and ``document_mean`` where a step
    counts documents (see Workload; left out: as long as the former, or as a sequence).
    """
    if not config.data.packed:
        document_mean = document_mean or document_tokens or config.data.sequence_length
    adapter = config.adapter
    return Workload(
        sequence_length=config.data.sequence_length,
        global_batch_size=config.batch.global_batch_size,
        steps=config.run.steps,
        dtype=config.precision.dtype,
        fp8=config.precision.fp8,
        fp8_first_last_bf16=config.precision.fp8_first_last_bf16,
        distributed_optimizer=config.optimizer.distributed,
        overlap=config.parallel.overlap,
        gradients=config.optimizer.gradients,
        fp8_activation_input=config.memory.fp8_activation_input,
        te_cross_entropy=config.memory.te_cross_entropy,
        tensor_overlap=config.parallel.tensor_overlap,
        document_tokens=document_tokens,
        document_mean=None if config.data.packed else document_mean,
        adapter_rank=0 if adapter.method == "none" else adapter.rank,
        adapter_targets=tuple(adapter.targets),
        adapter_start=adapter.method == "pissa",
    )


def layout_from_config(config: TrainConfig, gpus: int) -> Layout:
    """The layout that ``config`` has on ``gpus`` GPUs. Raises UserError if it does not divide them."""
    values = {name: getattr(getattr(config, section), key) for name, (section, key) in _KEYS.items()}
    ranks = values["tensor"] * values["pipeline"] * values["context"]
    if gpus % ranks:
        raise UserError(
            f"{gpus} GPUs are not a multiple of tensor {values['tensor']} x pipeline {values['pipeline']} x context "
            f"{values['context']}; change --gpus or the config's parallel section"
        )
    return Layout(data=gpus // ranks, **values)


def with_layout(config: TrainConfig, layout: Layout) -> TrainConfig:
    """``config`` in another layout, with documents padded as that one's context parallelism cuts them."""
    multiple = math.lcm(config.data.document_multiple, 2 * layout.context if layout.context > 1 else 1)
    sections: dict[str, dict[str, Any]] = {"data": {"document_multiple": multiple}}
    for name, (section, key) in _KEYS.items():
        sections.setdefault(section, {})[key] = getattr(layout, name)
    replaced = {name: dataclasses.replace(getattr(config, name), **values) for name, values in sections.items()}
    return dataclasses.replace(config, **replaced)
