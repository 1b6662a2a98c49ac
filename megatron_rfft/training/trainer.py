"""The training loop: batch, forward and backward, optimizer step, callbacks. Everything else is a callback."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from megatron_rfft.data.dataset import PackedBatch, PackedDataset
from megatron_rfft.data.sampling import micro_batches
from megatron_rfft.mcore import (
    DistributedDataParallel,
    DistributedDataParallelConfig,
    Float16Module,
    GPTModel,
    PackedSeqParams,
    finalize_model_grads,
    get_forward_backward_func,
    parallel_state,
)
from megatron_rfft.mcore.context import rank_positions
from megatron_rfft.models.build import build_model, transformer_config
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.initialize import initialize_weights
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.layout import on_device
from megatron_rfft.training.optimizer import build_optimizer, build_scheduler

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class StepMetrics:
    """What one optimizer step measured; the same on every rank."""

    step: int
    """Steps done, this one included."""
    loss: float
    """Mean cross entropy per target token of the global batch, in nats."""
    target_tokens: int
    """Tokens that the loss was taken over."""
    grad_norm: float
    """Global gradient norm before clipping."""
    lr: float
    """Learning rate of this step."""
    tokens: int
    """Tokens read by the model, padding included."""
    seconds: float
    """Wall time of the step."""


class Callback:
    """Called around the loop on every rank; override what you need."""

    def on_start(self, trainer: "Trainer") -> None:
        """Before the first step; ``trainer.step`` says where the run continues."""

    def on_step(self, trainer: "Trainer", metrics: StepMetrics) -> None:
        """After each step."""

    def on_end(self, trainer: "Trainer") -> None:
        """After the last step."""


@dataclass
class Trainer:
    """A model, its optimizer and its data in the current parallel layout; ``run()`` trains to the configured step."""

    config: TrainConfig
    model_config: ModelConfig
    dataset: PackedDataset
    callbacks: Sequence[Callback] = field(default_factory=list)
    step: int = 0
    """Optimizer steps done."""
    stopping: bool = False
    """Set by a callback, on every rank alike: end after this step."""

    initialize: bool = True
    """Draw initial weights; false where a checkpoint will overwrite them."""

    def __post_init__(self) -> None:
        parallel, precision = self.config.parallel, self.config.precision
        self.transformer_config = transformer_config(
            self.model_config,
            dtype=DTYPES[precision.dtype],
            tensor_parallel=parallel.tensor,
            pipeline_parallel=parallel.pipeline,
            virtual_pipeline=parallel.virtual_pipeline,
            context_parallel=parallel.context,
            sequence_parallel=parallel.sequence,
            recompute=self.config.memory.recompute,
            fp8=precision.fp8,
            fp8_first_last_bf16=precision.fp8_first_last_bf16,
        )
        self.stages = build_model(self.model_config, self.transformer_config)
        """This rank's chunks of the model: one, or ``parallel.virtual_pipeline`` of them."""
        if self.initialize:
            for stage in self.stages:
                initialize_weights(stage, self.config.run.seed)
        self.model = [self._data_parallel(stage, first=stage is self.stages[0]) for stage in self.stages]
        self.optimizer = build_optimizer(self.config, self.model)
        self.scheduler = build_scheduler(self.config, self.optimizer)
        self._connect_schedule()

    def _data_parallel(self, stage: GPTModel, *, first: bool) -> DistributedDataParallel:
        """The chunk, cast and wrapped so that gradients are summed over data-parallel ranks."""
        wrapped = Float16Module(self.transformer_config, stage) if self.config.precision.dtype == "bf16" else stage
        overlap, distributed = self.config.parallel.overlap, self.config.optimizer.distributed
        settings = DistributedDataParallelConfig(
            grad_reduce_in_fp32=True,
            use_distributed_optimizer=distributed,
            overlap_grad_reduce=overlap,
            overlap_param_gather=overlap and distributed,
        )
        # Later chunks reduce while earlier ones still compute, without buckets of their own.
        return DistributedDataParallel(self.transformer_config, settings, wrapped, disable_bucketing=not first)

    def _connect_schedule(self) -> None:
        """What megatron-core's schedules ask of the optimizer and the data-parallel wrappers."""
        config = self.transformer_config
        config.finalize_model_grads_func = finalize_model_grads
        config.grad_scale_func = self.optimizer.scale_loss
        if self.config.parallel.overlap:
            hooks = [chunk.no_sync for chunk in self.model]
            config.no_sync_func = hooks[0] if len(hooks) == 1 else hooks

    def synchronize_parameters(self) -> None:
        """Have the last step's parameters everywhere: under overlap they are gathered only with the next forward."""
        for chunk in self.model:
            if chunk.ddp_config.overlap_param_gather:
                chunk.start_param_sync(force_sync=True)

    @property
    def consumed_samples(self) -> int:
        """Sequences seen so far, over all ranks."""
        return self.step * self.config.batch.global_batch_size

    def run(self) -> None:
        """Train from ``step`` to ``config.run.steps``, or until a callback sets ``stopping``."""
        for callback in self.callbacks:
            callback.on_start(self)
        while self.step < self.config.run.steps and not self.stopping:
            metrics = self.train_step()
            for callback in self.callbacks:
                callback.on_step(self, metrics)
        for callback in self.callbacks:
            callback.on_end(self)

    def train_step(self) -> StepMetrics:
        """One optimizer step over the next global batch."""
        started = time.perf_counter()
        lr = self.optimizer.param_groups[0]["lr"]
        for chunk in self.model:
            chunk.zero_grad_buffer()
        self.optimizer.zero_grad()
        loss, target_tokens = self._forward_backward()
        _, grad_norm, _ = self.optimizer.step()
        self.scheduler.step(increment=self.config.batch.global_batch_size)
        self.step += 1
        tokens = self.config.batch.global_batch_size * self.config.data.sequence_length
        seconds = time.perf_counter() - started
        return StepMetrics(self.step, loss, target_tokens, float(grad_norm), lr, tokens, seconds)

    def _forward_backward(self) -> tuple[float, int]:
        """Accumulate gradients of the global batch; return its mean loss and its target tokens, alike on all ranks."""
        batch = self.config.batch
        micro_batches = list(self._micro_batches())
        outputs = get_forward_backward_func()(
            forward_step_func=self._forward_step,
            data_iterator=[iter(micro_batches) for _ in self.model],
            model=self.model,
            num_microbatches=len(micro_batches),
            seq_length=self.config.data.sequence_length * batch.micro_batch_size,
            micro_batch_size=1,  # sequences of a micro-batch are laid end to end
            forward_only=False,
        )
        totals = torch.zeros(2, dtype=torch.float64)
        for output in outputs:  # filled on the last pipeline stage only
            totals += output["totals"].double().cpu()
        totals = on_device(totals.numpy())
        torch.distributed.all_reduce(totals, group=parallel_state.get_data_parallel_group(with_context_parallel=True))
        if parallel_state.get_pipeline_model_parallel_world_size() > 1:
            torch.distributed.all_reduce(totals, group=parallel_state.get_pipeline_model_parallel_group())
        loss_sum, target_tokens = totals.tolist()
        return (loss_sum / target_tokens if target_tokens else math.nan), int(target_tokens)

    def _micro_batches(self) -> Iterator[PackedBatch]:
        """This data-parallel rank's micro-batches of the next global batch, in an order that no layout changes."""
        batch = self.config.batch
        ranks, rank = parallel_state.get_data_parallel_world_size(), parallel_state.get_data_parallel_rank()
        samples = (self.consumed_samples, batch.global_batch_size, batch.micro_batch_size)
        for sequences in micro_batches(*samples, rank, ranks):
            yield self.dataset.batch(sequences)

    def _forward_step(self, batches: Iterator[PackedBatch], model: DistributedDataParallel):
        batch = next(batches)
        cu_seqlens = on_device(batch.cu_seqlens)
        packed = PackedSeqParams(
            qkv_format="thd",
            cu_seqlens_q=cu_seqlens,
            cu_seqlens_kv=cu_seqlens,
            max_seqlen_q=batch.max_seqlen,
            max_seqlen_kv=batch.max_seqlen,
        )
        columns = [on_device(column) for column in (batch.tokens, batch.position_ids, batch.labels, batch.loss_mask)]
        if (ranks := parallel_state.get_context_parallel_world_size()) > 1:
            mine = rank_positions(cu_seqlens, ranks, parallel_state.get_context_parallel_rank())
            columns = [column[mine] for column in columns]
        tokens, position_ids, labels, mask = columns
        losses = model(tokens[None], position_ids[None], None, labels=labels[None], packed_seq_params=packed)
        return losses, partial(_masked_loss, mask)


def _masked_loss(mask: torch.Tensor, losses: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict]:
    """Sum of the target tokens' losses and their number; megatron-core divides by the global number."""
    loss_sum = torch.sum(losses.view(-1).float() * mask)
    target_tokens = mask.sum()
    return loss_sum, target_tokens.to(torch.int), {"totals": torch.stack([loss_sum.detach(), target_tokens])}
