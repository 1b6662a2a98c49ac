"""Every impossible layout is refused before a process group exists, and before megatron-core is loaded."""

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.config import TrainConfig


def check_layout(config: TrainConfig, model: ModelConfig, world_size: int) -> int:
    """Return the data-parallel size. Raises UserError naming the numbers that don't fit and the mend."""
    parallel, batch = config.parallel, config.batch
    model_parallel = parallel.tensor * parallel.pipeline
    if world_size % model_parallel:
        raise UserError(
            f"{world_size} processes are not a multiple of parallel.tensor {parallel.tensor} x parallel.pipeline "
            f"{parallel.pipeline}; start another number with torchrun --nproc-per-node"
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
    if model.num_layers % parallel.pipeline:
        raise UserError(
            f"model.num_layers {model.num_layers} is not a multiple of parallel.pipeline {parallel.pipeline}; "
            "lower parallel.pipeline"
        )
    config.adapter.resolve(model)
    if parallel.sequence and parallel.tensor == 1:
        raise UserError("parallel.sequence needs parallel.tensor > 1; set it to false")
    if parallel.sequence and config.data.sequence_length * batch.micro_batch_size % parallel.tensor:
        raise UserError(
            f"data.sequence_length {config.data.sequence_length} is not a multiple of parallel.tensor "
            f"{parallel.tensor}, which parallel.sequence needs; change it"
        )
    data_parallel = world_size // model_parallel
    if batch.global_batch_size % (batch.micro_batch_size * data_parallel):
        raise UserError(
            f"batch.global_batch_size {batch.global_batch_size} is not a multiple of batch.micro_batch_size "
            f"{batch.micro_batch_size} x data-parallel size {data_parallel}; change one of them"
        )
    return data_parallel
