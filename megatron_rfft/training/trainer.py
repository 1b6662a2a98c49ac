"""The training loop: batch, forward and backward, optimizer step, callbacks. Everything else is a callback."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from megatron_rfft.common.number_formats import NUMBER_FORMATS
from megatron_rfft.data.dataset import PackedBatch, PackedDataset
from megatron_rfft.data.sampling import deal_documents, micro_batches
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
from megatron_rfft.models.adapters import attach
from megatron_rfft.models.build import build_model, transformer_config
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.initialize import initialize_weights
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.goodput import OTHER
from megatron_rfft.training.layout import on_device
from megatron_rfft.training.layout_check import micro_batch_multiple
from megatron_rfft.training.loss_table import LossTable, sum_over_data
from megatron_rfft.training.optimizer import build_optimizer, build_scheduler, update_weights
from megatron_rfft.training.waiting import watch_waiting

DTYPES = {name: getattr(torch, long) for name, long in NUMBER_FORMATS.items()}


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
    data_seconds: float
    """Part of it in which this rank read its micro-batches."""
    skipped: bool
    """Whether a callback did not accept the step: weights and optimizer are as before."""
    own_seconds: float | None = None
    """Part of ``seconds`` in which this rank did not wait for others; None unless ``Trainer.time_waits`` asked."""


class Order(IntEnum):
    """When a callback is called among others; those of one place are called in the order in which they are given."""

    DECIDING = 0
    """It may refuse a step, set ``Trainer.stopping`` or ``save_requested``, or have a state that is saved."""
    SAVING = 1
    """On the start it says where the run continues."""
    EXPORTING = 2
    """It takes the checkpoints that are saved."""
    RECORDING = 3
    """On the start it makes ready what others write to."""
    MEASURING = 4
    SHOWING = 5
    """It reads what was measured."""
    WATCHING = 6
    """It sees the end of the step, the other callbacks included."""


class Callback:
    """Called around the loop on every rank; override what you need."""

    order: ClassVar[Order] = Order.SHOWING
    activity: ClassVar[str] = OTHER
    """What the time of ``on_step`` counts as, one of ``goodput.IN_STEPS``."""
    state_key: ClassVar[str | None] = None
    """Under which a checkpoint keeps ``state()``; None: there is none. It stays, or older checkpoints are not read."""

    def on_start(self, trainer: "Trainer") -> None:
        """Before the first step; ``trainer.step`` says where the run continues."""

    def accepts(self, trainer: "Trainer", loss: float, grad_norm: float) -> bool:
        """Before the weights are updated: False, on every rank alike, leaves them and the optimizer untouched."""
        return True

    def on_step(self, trainer: "Trainer", metrics: StepMetrics) -> None:
        """After each step."""

    def on_end(self, trainer: "Trainer") -> None:
        """After the last step."""

    def state(self) -> dict[str, Any]:
        """What a resumed run has to know, as JSON values, of a callback with a ``state_key``."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` returned when the checkpoint was saved."""


@dataclass
class Trainer:
    """A model, its optimizer and its data in the current parallel layout; ``run()`` trains to the configured step."""

    config: TrainConfig
    model_config: ModelConfig
    dataset: PackedDataset
    callbacks: Sequence[Callback] = field(default_factory=list)
    """Called by their ``order``, however they are given."""
    step: int = 0
    """Optimizer steps done."""
    stopping: str = ""
    """Set by a callback, on every rank alike: why to end after this step."""
    hurry: bool = False
    """Set by a callback with ``stopping``: the processes are going to be ended soon."""
    save_requested: bool = False
    """Set by a callback, on every rank alike: save after this step."""
    time_waits: bool = False
    """Set by a callback, on every rank alike: find out how long each waits for others in the next step."""
    callback_seconds: Counter[str] = field(default_factory=Counter)
    """What callbacks spent after steps, by their ``activity``, until somebody takes it out."""
    loss_table: LossTable | None = None
    """Where losses by task and length are added up, if a callback wants them."""
    base: dict | None = None
    """With adapters: what names the checkpoint whose weights they are trained on; set when it is loaded."""
    base_data: Sequence[dict] = ()
    """What the manifest of the model that the run started from says of its data; set when a checkpoint is loaded."""
    initialize: bool = True
    """Draw initial weights; false where a checkpoint will overwrite them."""

    def __post_init__(self) -> None:
        self.callbacks = sorted(self.callbacks, key=lambda callback: callback.order)
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
            recompute_layers=self.config.memory.recompute_layers,
            fp8=precision.fp8,
            fp8_first_last_bf16=precision.fp8_first_last_bf16,
            deterministic=precision.deterministic,
            local_layers=precision.local_layers,
            tensor_overlap=parallel.tensor_overlap,
            fp8_activation_input=self.config.memory.fp8_activation_input,
            te_cross_entropy=self.config.memory.te_cross_entropy,
        )
        self.stages = build_model(self.model_config, self.transformer_config)
        """This rank's chunks of the model: one, or ``parallel.virtual_pipeline`` of them."""
        self.adapter = self.config.adapter.resolve(self.model_config)
        for stage in self.stages:
            if self.initialize:
                initialize_weights(stage, self.config.run.seed)
            if self.adapter is not None:
                attach(stage, self.adapter, self.model_config)
        self.model = [self._data_parallel(stage, first=stage is self.stages[0]) for stage in self.stages]
        self.optimizer = build_optimizer(self.config, self.model)
        self.scheduler = build_scheduler(self.config, self.optimizer)
        self._connect_schedule()
        self.note_progress("")

    def note_progress(self, waiting_for: str) -> None:
        """Say that the run is alive although no step ends, and what it waits for; empty: for nothing any more."""
        self.waiting_for, self.last_progress = waiting_for, time.monotonic()

    def _data_parallel(self, stage: GPTModel, *, first: bool) -> DistributedDataParallel:
        """The chunk, cast and wrapped so that gradients are summed over data-parallel ranks."""
        wrapped = Float16Module(self.transformer_config, stage) if self.config.precision.dtype == "bf16" else stage
        overlap, distributed = self.config.parallel.overlap, self.config.optimizer.distributed
        settings = DistributedDataParallelConfig(
            grad_reduce_in_fp32=self.config.optimizer.gradients == "fp32",
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

    @property
    def consumed_samples(self) -> int:
        """Sequences (or documents, without ``data.packed``) seen so far, over all ranks."""
        return self.step * self.config.batch.global_batch_size

    def run(self) -> None:
        """Train from ``step`` to ``config.run.steps``, or until a callback sets ``stopping``."""
        for callback in self.callbacks:
            callback.on_start(self)
        while self.step < self.config.run.steps and not self.stopping:
            metrics = self.train_step()
            for callback in self.callbacks:
                began = time.perf_counter()
                callback.on_step(self, metrics)
                self.callback_seconds[callback.activity] += time.perf_counter() - began
        for callback in self.callbacks:
            callback.on_end(self)

    def train_step(self) -> StepMetrics:
        """One optimizer step over the next global batch."""
        with watch_waiting() if self.time_waits else nullcontext() as waiting:
            metrics = self._train_step()
            if waiting is None:
                return metrics
            began = time.perf_counter()
            torch.cuda.synchronize()  # the weights' update, whose time is this step's
            seconds = metrics.seconds + time.perf_counter() - began
        return replace(metrics, seconds=seconds, own_seconds=seconds - waiting.seconds())

    def _train_step(self) -> StepMetrics:
        started = time.perf_counter()
        batches = list(self._micro_batches())
        data_seconds = time.perf_counter() - started
        lr = self.optimizer.param_groups[0]["lr"]
        for chunk in self.model:
            chunk.zero_grad_buffer()
        self.optimizer.zero_grad()
        loss, target_tokens = self._run_schedule(batches)
        grad_norm, updated = update_weights(self.optimizer, partial(self._accepts, loss))
        self.scheduler.step(increment=self.config.batch.global_batch_size)
        self.step += 1
        ranks = parallel_state.get_data_parallel_world_size()
        tokens = ranks * len(batches) * len(batches[0].tokens)
        seconds = time.perf_counter() - started
        return StepMetrics(
            self.step, loss, target_tokens, grad_norm, lr, tokens, seconds, data_seconds, skipped=not updated
        )

    def evaluate(self, batches: Sequence[PackedBatch], table: LossTable | None = None) -> tuple[float, int]:
        """Mean loss per target token, and target tokens, of every data-parallel rank's ``batches``, without training.

        Collective: each rank gives as many micro-batches, all of one size. ``table`` gets losses by task and length.
        """
        training_table, self.loss_table = self.loss_table, table
        for chunk in self.model:
            chunk.eval()
        with torch.no_grad():
            result = self._run_schedule(batches, forward_only=True)
        for chunk in self.model:
            chunk.train()
        self.loss_table = training_table
        return result

    def callback_states(self) -> dict[str, dict[str, Any]]:
        """What the callbacks want a checkpoint to keep, by their ``state_key``."""
        return {callback.state_key: callback.state() for callback in self.callbacks if callback.state_key is not None}

    def restore_callbacks(self, states: dict[str, dict[str, Any]]) -> None:
        """Give each callback back its part of ``callback_states()``."""
        for callback in self.callbacks:
            if callback.state_key in states:
                callback.restore(states[callback.state_key])

    def _accepts(self, loss: float, grad_norm: float) -> bool:
        return all(callback.accepts(self, loss, grad_norm) for callback in self.callbacks)

    def _run_schedule(self, batches: Sequence[PackedBatch], *, forward_only: bool = False) -> tuple[float, int]:
        """Pass the micro-batches through the pipeline, accumulating gradients; mean loss and target tokens of all."""
        outputs = get_forward_backward_func()(
            forward_step_func=self._forward_step,
            data_iterator=[iter(batches) for _ in self.model],
            model=self.model,
            num_microbatches=len(batches),
            seq_length=len(batches[0].tokens),
            micro_batch_size=1,  # sequences of a micro-batch are laid end to end
            forward_only=forward_only,
        )
        totals = torch.zeros(2, dtype=torch.float64)
        for output in outputs:  # filled on the last pipeline stage only
            totals += output["totals"].double().cpu()
        loss_sum, target_tokens = sum_over_data(on_device(totals.numpy())).tolist()
        return (loss_sum / target_tokens if target_tokens else math.nan), int(target_tokens)

    def _micro_batches(self) -> Iterator[PackedBatch]:
        """This data-parallel rank's micro-batches of the next global batch, in an order that no layout changes."""
        batch = self.config.batch
        ranks, rank = parallel_state.get_data_parallel_world_size(), parallel_state.get_data_parallel_rank()
        if self.config.data.packed:
            step = range(self.consumed_samples, self.consumed_samples + batch.global_batch_size)
            costs = self.dataset.attention_costs(step)
            for sequences in micro_batches(self.consumed_samples, costs, batch.micro_batch_size, rank, ranks):
                yield self.dataset.batch(sequences)
            return
        documents = np.arange(self.consumed_samples, self.consumed_samples + batch.global_batch_size)
        capacity = batch.micro_batch_size * self.config.data.sequence_length
        # An interleaved pipeline takes its micro-batches by the number of its stages.
        stages = self.config.parallel.pipeline if self.config.parallel.virtual_pipeline > 1 else 1
        parts, tokens = deal_documents(
            self.dataset.room(documents), capacity, micro_batch_multiple(self.config), ranks * stages
        )
        for part in parts[rank::ranks]:
            yield self.dataset.batch(documents[part], tokens)

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
        columns = (batch.tokens, batch.position_ids, batch.labels, batch.loss_mask, batch.cells)
        columns = [on_device(column) for column in columns]
        if (ranks := parallel_state.get_context_parallel_world_size()) > 1:
            mine = rank_positions(cu_seqlens, ranks, parallel_state.get_context_parallel_rank())
            columns = [column[mine] for column in columns]
        tokens, position_ids, labels, mask, cells = columns
        losses = model(tokens[None], position_ids[None], None, labels=labels[None], packed_seq_params=packed)
        return losses, partial(self._masked_loss, mask, cells)

    def _masked_loss(
        self, mask: torch.Tensor, cells: torch.Tensor, losses: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, dict]:
        """Sum of the target tokens' losses and their number; megatron-core divides by the global number."""
        losses = losses.view(-1).float()
        loss_sum, target_tokens = torch.sum(losses * mask), mask.sum()
        if self.loss_table is not None:
            self.loss_table.add(cells, losses.detach(), mask)
        return loss_sum, target_tokens.to(torch.int), {"totals": torch.stack([loss_sum.detach(), target_tokens])}
