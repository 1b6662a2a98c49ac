"""The loss on held-out documents, the best checkpoint, early stop."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from megatron_rfft.data.dataset import PackedBatch, PackedDataset
from megatron_rfft.mcore import parallel_state
from megatron_rfft.training import goodput
from megatron_rfft.training.callbacks.records import Records
from megatron_rfft.training.config import ValidationSection
from megatron_rfft.training.early_stop import VALIDATION, EarlyStop
from megatron_rfft.training.loss_table import LossTable, by_task_and_length
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class Validation(Callback):
    """Every ``interval`` steps and at the last one, the loss per target token over ``dataset``: the same documents, and
    the same number, in every layout.

    The best step is saved and its checkpoint kept; ``patience`` validations without a better one end the run.
    """

    order = Order.DECIDING
    activity = goodput.VALIDATION
    state_key = VALIDATION

    def __init__(self, records: Records, settings: ValidationSection, dataset: PackedDataset):
        self.records, self.settings, self.dataset = records, settings, dataset
        self.history = EarlyStop()

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if trainer.step % self.settings.interval and trainer.step != trainer.config.run.steps:
            return
        table = LossTable(self.dataset.cells)
        batches = list(self._batches(trainer.config.batch.micro_batch_size))
        loss, target_tokens = trainer.evaluate(batches, table)
        better = self.history.update(trainer.step, loss, self.settings.min_delta)
        trainer.save_requested |= better
        reason = self.history.reason_to_stop(self.settings.patience)
        trainer.stopping = reason or trainer.stopping
        self._record(trainer.step, loss, target_tokens, table, reason)

    def state(self) -> dict[str, Any]:
        return self.history.as_dict()

    def restore(self, state: dict[str, Any]) -> None:
        self.history = EarlyStop(**state)

    def _batches(self, size: int) -> Iterator[PackedBatch]:
        """This data-parallel rank's micro-batches; where they don't come out even, some are without targets."""
        ranks, rank = parallel_state.get_data_parallel_world_size(), parallel_state.get_data_parallel_rank()
        total = min(self.settings.samples or self.dataset.epoch_length, self.dataset.epoch_length)
        rounds = -(-total // (ranks * size))
        if parallel_state.get_virtual_pipeline_model_parallel_world_size() is not None:
            stages = parallel_state.get_pipeline_model_parallel_world_size()
            rounds = -(-rounds // stages) * stages
        for number in range(rounds):
            first = (number * ranks + rank) * size
            sequences = np.arange(first, first + size)
            batch = self.dataset.batch(np.minimum(sequences, total - 1).tolist())
            counts = np.repeat(sequences < total, self.dataset.sequence_length)
            yield replace(batch, loss_mask=batch.loss_mask * counts.astype(np.float32))

    def _record(self, step: int, loss: float, target_tokens: int, table: LossTable, reason: str) -> None:
        losses = table.take()
        margins = by_task_and_length(losses)
        row = {"step": step, "loss": loss, "target_tokens": target_tokens, **self.history.as_dict()}
        if reason:
            row["stopped"] = reason
        self.records.write("validation", {**row, **margins, "tasks": losses})
        values = {"validation/loss": loss}
        for margin, parts in margins.items():
            values |= {f"validation_{margin}/{name}": value for name, value in parts.items()}
        self.records.plot(step, values)
