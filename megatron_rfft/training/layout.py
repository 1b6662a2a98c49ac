"""Process groups and parallel state."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch

from megatron_rfft.mcore import (
    DEVICE,
    ON_GPU,
    RotaryEmbedding,
    init_num_microbatches_calculator,
    parallel_state,
    tensor_parallel,
    unset_num_microbatches_calculator,
)
from megatron_rfft.mcore.user_buffers import free_user_buffers, make_user_buffers
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.fp8 import NONE
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.determinism import set_determinism
from megatron_rfft.training.environment import priority_groups
from megatron_rfft.training.layout_check import check_layout


def initialize_parallel(config: TrainConfig, model: ModelConfig) -> None:
    """Start the process group (env:// as torchrun sets it; alone without it) and megatron-core's parallel state."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    data_parallel = check_layout(config, model, world_size)
    set_determinism(config.precision.deterministic)
    if not torch.distributed.is_initialized():
        start_process_group(world_size, config.guard.hang_timeout)
    parallel = config.parallel
    parallel_state.initialize_model_parallel(
        parallel.tensor,
        parallel.pipeline,
        parallel.virtual_pipeline if parallel.virtual_pipeline > 1 else None,
        context_parallel_size=parallel.context,
        create_gloo_process_groups=False,
        # Other backends (one that only counts) know no priorities.
        high_priority_stream_groups=priority_groups(config) if torch.distributed.get_backend() == "nccl" else None,
        distributed_timeout_minutes=collective_timeout(config.guard.hang_timeout) // timedelta(minutes=1),
    )
    if parallel.tensor_overlap:
        make_user_buffers(
            config.data.sequence_length * config.batch.micro_batch_size // parallel.context,
            model.hidden_size,
            parallel.tensor,
            fp8=config.precision.fp8 != NONE,
            also_bf16=config.precision.fp8_first_last_bf16,
        )
    # Dropout is off; the tracker's seed only has to exist.
    tensor_parallel.model_parallel_cuda_manual_seed(config.run.seed)
    batch = config.batch
    # Without packing, the number of micro-batches is the data's (trainer.py). Nothing reads megatron-core's then.
    sizes = (batch.global_batch_size, batch.micro_batch_size) if config.data.packed else (data_parallel, 1)
    init_num_microbatches_calculator(torch.distributed.get_rank(), None, *sizes, data_parallel)


def start_process_group(world_size: int, hang_timeout: float = 0.0) -> None:
    """NCCL on GPUs, gloo on CPU."""
    timeout = collective_timeout(hang_timeout)
    if ON_GPU:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "nccl" if ON_GPU else "gloo"
    if world_size == 1 and "MASTER_ADDR" not in os.environ:
        store, rank = torch.distributed.HashStore(), 0
    else:
        store, rank, world_size = next(torch.distributed.rendezvous("env://", timeout=timeout))
        # torchrun --max-restarts keeps its store: addresses of the processes before must not be found there.
        store = torch.distributed.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=timeout)


@contextmanager
def single_rank() -> Iterator[None]:
    """Process group and parallel state of this process alone, to build a model without a run; none is left."""
    start_process_group(1)
    parallel_state.initialize_model_parallel(create_gloo_process_groups=False)
    tensor_parallel.model_parallel_cuda_manual_seed(0)
    try:
        yield
    finally:
        destroy_parallel()


def collective_timeout(hang_timeout: float) -> timedelta:
    """When a collective gives up: long after ``hang_timeout`` seconds, for the watchdog, which says who hangs, comes
    first.
    """
    return timedelta(minutes=30 + 2 * hang_timeout // 60)


def destroy_parallel(*, keep_process_group: bool = False) -> None:
    """Undo :func:`initialize_parallel`, so that one process can run several layouts in turn.

    The models of the layout are let go: megatron-core caches rotary positions by module, which is hooked to all of it.
    """
    RotaryEmbedding.forward.cache_clear()
    free_user_buffers()
    set_determinism(False)
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
