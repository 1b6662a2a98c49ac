"""Every impossible layout is refused before a process group exists, and before megatron-core is loaded."""

import math

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.fp8 import token_multiple
from megatron_rfft.training.config import TrainConfig


def check_layout(config: TrainConfig, model: ModelConfig, world_size: int) -> int:
    """Return the data-parallel size. Raises UserError naming the numbers that don't fit and the fix."""
    parallel, batch = config.parallel, config.batch
    model_parallel = parallel.tensor * parallel.pipeline * parallel.context
    if world_size % model_parallel:
        raise UserError(
            f"{world_size} processes are not a multiple of parallel.tensor {parallel.tensor} x parallel.pipeline "
            f"{parallel.pipeline} x parallel.context {parallel.context}; start another number with torchrun "
            "--nproc-per-node"
        )
    for name, size in (
        ("model.num_attention_heads", model.num_attention_heads),
        ("model.num_query_groups", model.num_query_groups),
        ("model.ffn_hidden_size", model.ffn_hidden_size),
        ("the padded vocabulary", model.padded_vocab_size),
    ):
        if size % parallel.tensor:
            raise UserError(
                f"{name} {size} is not a multiple of parallel.tensor {parallel.tensor}; lower parallel.tensor"
            )
    _check_sequence_split(config)
    _check_overlap(config)
    if config.optimizer.gradients == "bf16" and config.precision.dtype != "bf16":
        raise UserError(
            f"optimizer.gradients bf16 needs precision.dtype bf16, not {config.precision.dtype}; set it to fp32"
        )
    if config.memory.fp8_activation_input and config.memory.recompute != "none" and not config.memory.recompute_layers:
        raise UserError(
            f"memory.fp8_activation_input keeps what memory.recompute {config.memory.recompute} computes again in each "
            "layer; set it to false, or memory.recompute_layers to fewer than all"
        )
    config.adapter.resolve(model)
    data_parallel = world_size // model_parallel
    if not config.data.packed:
        if batch.global_batch_size < data_parallel:
            raise UserError(
                f"batch.global_batch_size {batch.global_batch_size} (documents, as data.packed is false) is below the "
                f"data-parallel size {data_parallel}; raise parallel.tensor, or start fewer processes"
            )
    elif batch.global_batch_size % (batch.micro_batch_size * data_parallel):
        raise UserError(
            f"batch.global_batch_size {batch.global_batch_size} is not a multiple of batch.micro_batch_size "
            f"{batch.micro_batch_size} x data-parallel size {data_parallel}; change one of them"
        )
    _check_pipeline(config, model, batch.global_batch_size // (batch.micro_batch_size * data_parallel))
    layers = model.num_layers // (parallel.pipeline * parallel.virtual_pipeline)
    if (recomputed := config.memory.recompute_layers) is not None and recomputed > layers:
        raise UserError(
            f"memory.recompute_layers {recomputed} is above the {layers} layers of a model chunk; lower it, or leave "
            "it out for all"
        )
    return data_parallel


def check_heads(config: TrainConfig, model: ModelConfig) -> None:
    """Refuse what the attention for machines without Transformer Engine can't do: it splits heads over the
    context-parallel ranks. Raises UserError.
    """
    parallel = config.parallel
    if model.num_attention_heads % (parallel.tensor * parallel.context):
        raise UserError(
            f"model.num_attention_heads {model.num_attention_heads} is not a multiple of parallel.tensor "
            f"{parallel.tensor} x parallel.context {parallel.context}, which attention without Transformer Engine "
            "needs; lower one of them"
        )


def _check_pipeline(config: TrainConfig, model: ModelConfig, num_micro_batches: int) -> None:
    stages, chunks = config.parallel.pipeline, config.parallel.virtual_pipeline
    if chunks > 1 and stages == 1:
        raise UserError(f"parallel.virtual_pipeline {chunks} needs parallel.pipeline > 1; set it to 1")
    if model.num_layers % (stages * chunks):
        raise UserError(
            f"model.num_layers {model.num_layers} is not a multiple of parallel.pipeline {stages} x "
            f"parallel.virtual_pipeline {chunks}; lower one of them"
        )
    if config.data.packed and chunks > 1 and num_micro_batches % stages:
        raise UserError(
            f"parallel.virtual_pipeline {chunks} needs micro-batches in multiples of parallel.pipeline {stages}, but "
            f"there are {num_micro_batches} a step; change batch.global_batch_size or batch.micro_batch_size"
        )


def micro_batch_multiple(config: TrainConfig) -> int:
    """What a micro-batch's tokens must be a multiple of, to be split over ranks and rounded to FP8 there."""
    parallel = config.parallel
    ranks = parallel.context * (parallel.tensor if parallel.sequence else 1)
    pieces = 2 * parallel.context if parallel.context > 1 else 1
    return math.lcm(ranks * token_multiple(config.precision.fp8), pieces)


def _check_sequence_split(config: TrainConfig) -> None:
    parallel = config.parallel
    if parallel.sequence and parallel.tensor == 1:
        raise UserError("parallel.sequence needs parallel.tensor > 1; set it to false")
    lengths = {"data.sequence_length": config.data.sequence_length}
    if config.validation.data and config.validation.sequence_length is not None:
        lengths["validation.sequence_length"] = config.validation.sequence_length
    for name, length in lengths.items():
        _check_split_of_micro_batches(config, name, length)
    if parallel.context == 1:
        return
    pieces = 2 * parallel.context
    for name, size in {"data.document_multiple": config.data.document_multiple, **lengths}.items():
        if size % pieces:
            raise UserError(
                f"parallel.context {parallel.context} cuts each document into {pieces} pieces, and {name} {size} is "
                f"not a multiple of that; set {name} to a multiple of {pieces}"
            )


def _check_overlap(config: TrainConfig) -> None:
    """User buffers hold one number of tokens, split over the tensor-parallel ranks."""
    if not config.parallel.tensor_overlap:
        return
    if not config.parallel.sequence:
        raise UserError("parallel.tensor_overlap needs parallel.sequence; set that to true, or this to false")
    if not config.data.packed:
        raise UserError(
            "parallel.tensor_overlap needs micro-batches of one size, which steps of documents (data.packed false) do "
            "not have; set it to false"
        )
    validated = config.validation.sequence_length if config.validation.data else None
    if validated not in (None, config.data.sequence_length):
        raise UserError(
            f"parallel.tensor_overlap needs micro-batches of one size, but validation.sequence_length is {validated} "
            f"and data.sequence_length {config.data.sequence_length}; make them equal, or set it to false"
        )


def _check_split_of_micro_batches(config: TrainConfig, name: str, length: int) -> None:
    """The tokens of micro-batches of sequences of ``length`` (key ``name``), over ranks and for FP8 there."""
    parallel = config.parallel
    ranks = parallel.context * (parallel.tensor if parallel.sequence else 1)
    if length * config.batch.micro_batch_size % ranks:
        raise UserError(
            f"{name} {length} is not a multiple of {ranks}, over which parallel.sequence and parallel.context split "
            "it; change it"
        )
    fp8, multiple = config.precision.fp8, token_multiple(config.precision.fp8)
    if (tokens := length * config.batch.micro_batch_size // ranks) % multiple:
        raise UserError(
            f"precision.fp8 {fp8} needs a multiple of {multiple} tokens on each rank, and there are {tokens}; set "
            f"{name} to a multiple of {multiple * ranks}"
        )
