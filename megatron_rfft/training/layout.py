"""Process groups and parallel state."""

import os

import torch

from megatron_rfft.mcore import (
    DEVICE,
    ON_GPU,
    init_num_microbatches_calculator,
    parallel_state,
    tensor_parallel,
    unset_num_microbatches_calculator,
)
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.layout_check import check_layout


def initialize_parallel(config: TrainConfig, model: ModelConfig) -> None:
    """Start the process group (env:// as torchrun sets it; alone without it) and megatron-core's parallel state."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    data_parallel = check_layout(config, model, world_size)
    if not torch.distributed.is_initialized():
        start_process_group(world_size)
    parallel = config.parallel
    parallel_state.initialize_model_parallel(
        parallel.tensor,
        parallel.pipeline,
        parallel.virtual_pipeline if parallel.virtual_pipeline > 1 else None,
        context_parallel_size=parallel.context,
        create_gloo_process_groups=False,
    )
    # Dropout is off; the tracker's seed only has to exist.
    tensor_parallel.model_parallel_cuda_manual_seed(config.run.seed)
    batch = config.batch
    init_num_microbatches_calculator(
        torch.distributed.get_rank(), None, batch.global_batch_size, batch.micro_batch_size, data_parallel
    )


def start_process_group(world_size: int) -> None:
    """NCCL on GPUs, gloo on CPU."""
    if ON_GPU:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if world_size == 1 and "MASTER_ADDR" not in os.environ:
        store = torch.distributed.HashStore()
        torch.distributed.init_process_group("nccl" if ON_GPU else "gloo", rank=0, world_size=1, store=store)
    else:
        torch.distributed.init_process_group("nccl" if ON_GPU else "gloo")


def destroy_parallel(*, keep_process_group: bool = False) -> None:
    """Undo :func:`initialize_parallel`, so that one process can run several layouts in turn."""
    unset_num_microbatches_calculator()
    parallel_state.destroy_model_parallel()
    if not keep_process_group:
        torch.distributed.destroy_process_group()


def abandon_parallel() -> None:
    """Let go of the process group after an error, without waiting for other ranks, which may be stuck.

    NCCL's communicators end with the process. gloo's threads would abort it (SIGABRT) when Python exits around them,
    and hide the exit code.
    """
    if not ON_GPU and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def on_device(array) -> torch.Tensor:
    """A numpy array as a tensor on this rank's device."""
    return torch.from_numpy(array).to(DEVICE, non_blocking=True)
