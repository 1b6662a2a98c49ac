"""The numbers of training: loss, by task and length too, and how fast it goes."""

import time
from collections import Counter
from typing import Any

import torch

from megatron_rfft.models.flops import training_flops
from megatron_rfft.training.callbacks.records import Records
from megatron_rfft.training.goodput import CHECKPOINT, DATA, OTHER, TRAIN, VALIDATION, WallTime
from megatron_rfft.training.loss_table import LossTable, by_task_and_length
from megatron_rfft.training.throughput import peak_tflops
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer

PLOTTED = (
    "loss",
    "grad_norm",
    "lr",
    "tokens_per_second",
    "tflops_per_gpu",
    "mfu",
    "memory_gib",
    "data_wait",
    "goodput",
)


class Metrics(Callback):
    """A line of ``metrics.jsonl`` every ``interval`` steps and at the end, and one of ``losses.jsonl`` (losses by task
    and length with their numbers of target tokens).

    ``loss``, ``grad_norm`` and ``lr`` are of that step; rates, and losses by task and length, of all steps since the
    line before (``steps`` says how many). ``wall`` and ``goodput`` are of the whole run (goodput.py). A start that a
    signal or an early stop ends says so under ``stopped`` in its last line.
    """

    order = Order.MEASURING

    def __init__(self, records: Records, interval: int, peak: float | None = None):
        self.records, self.interval, self.peak = records, interval, peak
        self.latest: dict[str, Any] = {}
        """The newest line, on rank 0."""
        self._start_over()

    def on_start(self, trainer: Trainer) -> None:
        trainer.loss_table = LossTable(trainer.dataset.cells)
        self.peak = self.peak or peak_tflops()
        self._wall: WallTime | None = None

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if self._wall is None:
            self._begin(trainer, metrics)
        self._add(trainer, metrics)
        if metrics.step % self.interval and metrics.step != trainer.config.run.steps and not trainer.stopping:
            return
        table = trainer.loss_table.take()
        if not self.records.is_writer:
            return
        margins = by_task_and_length(table)
        self.latest = {
            "step": metrics.step,
            "loss": metrics.loss,
            "grad_norm": metrics.grad_norm,
            "lr": metrics.lr,
            "target_tokens": metrics.target_tokens,
            "consumed_samples": trainer.consumed_samples,
            "steps": self._steps,
            "skipped": self._skipped,
            **self._rates(),
            **self._wall_time(trainer),
        }
        if trainer.stopping:
            self.latest["stopped"] = trainer.stopping
        self._start_over()
        self.records.write("metrics", {**self.latest, **margins})
        self.records.write("losses", {"step": metrics.step, "steps": self.latest["steps"], "tasks": table})
        values = {f"train/{name}": self.latest[name] for name in PLOTTED if self.latest.get(name) is not None}
        for margin, losses in margins.items():
            values |= {f"train_{margin}/{name}": loss for name, loss in losses.items()}
        self.records.plot(metrics.step, values)

    def _begin(self, trainer: Trainer, first: StepMetrics) -> None:
        """Count wall time from the beginning of the first step, which is over, with callbacks after it."""
        since = first.seconds + sum(trainer.callback_seconds.values())
        self._marked = time.perf_counter() - since
        lines = (self.records.last_line, self.records.kept_line)
        self._wall = WallTime.resumed(*lines, first.step - 1, time.time() - since)

    def _start_over(self) -> None:
        self._steps = self._skipped = self._tokens = 0
        self._flops = self._seconds = self._data_seconds = 0.0

    def _add(self, trainer: Trainer, metrics: StepMetrics) -> None:
        self._steps += 1
        self._skipped += metrics.skipped
        self._tokens += metrics.tokens
        self._seconds += metrics.seconds
        self._data_seconds += metrics.data_seconds
        if self.records.is_writer:
            samples = range(trainer.consumed_samples - trainer.config.batch.global_batch_size, trainer.consumed_samples)
            self._flops += training_flops(trainer.model_config, trainer.dataset.document_lengths(samples))

    def _wall_time(self, trainer: Trainer) -> dict[str, Any]:
        """Where the time since the line before went, callbacks included, and that of the run so far."""
        now = time.perf_counter()
        seconds, self._marked = now - self._marked, now
        by_callbacks, trainer.callback_seconds = trainer.callback_seconds, Counter()
        parts = {
            TRAIN: self._seconds - self._data_seconds,
            DATA: self._data_seconds,
            CHECKPOINT: by_callbacks[CHECKPOINT],
            VALIDATION: by_callbacks[VALIDATION],
        }
        parts[OTHER] = max(0.0, seconds - sum(parts.values()))
        self._wall.add(parts)
        return {
            "wall_seconds_per_step": round(seconds / self._steps, 4),
            **{f"{name}_seconds": round(part, 4) for name, part in parts.items()},
            "goodput": round(self._wall.goodput, 4),
            "wall": self._wall.as_dict(),
            "time": round(time.time(), 3),
        }

    def _rates(self) -> dict[str, float | None]:
        """Per second of steps; waiting for data is that of rank 0. A GPU is a process where there is none."""
        gpus = torch.distributed.get_world_size()
        tflops = self._flops / self._seconds / gpus / 1e12
        return {
            "tokens_per_second": round(self._tokens / self._seconds, 1),
            "tokens_per_second_per_gpu": round(self._tokens / self._seconds / gpus, 1),
            "tflops_per_gpu": round(tflops, 6),
            "mfu": None if self.peak is None else round(tflops / self.peak, 4),
            "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            "data_wait": round(self._data_seconds / self._seconds, 4),
            "seconds_per_step": round(self._seconds / self._steps, 4),
        }
