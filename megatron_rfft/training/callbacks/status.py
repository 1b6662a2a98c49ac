"""The line that says how a run is doing: a bar on a terminal, plain lines in a log."""

import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from megatron_rfft.common.progress import progress_bar
from megatron_rfft.mcore import ON_GPU
from megatron_rfft.training import goodput, slowest
from megatron_rfft.training.callbacks.metrics import Metrics
from megatron_rfft.training.callbacks.stragglers import Stragglers
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class StatusLine(Callback):
    """Loss, speed, goodput, a slow rank and the time left, on rank 0's stderr, from the numbers of ``metrics`` and
    ``stragglers``.
    """

    order = Order.SHOWING

    def __init__(self, metrics: Metrics, stragglers: Stragglers):
        self.metrics, self.stragglers = metrics, stragglers
        self._bar = None
        self._shown = 0

    def on_start(self, trainer: Trainer) -> None:
        self._first, self._started = trainer.step, time.perf_counter()
        if self.metrics.records.is_writer and sys.stderr.isatty():
            name = Path(trainer.config.run.output).name
            self._bar = progress_bar(trainer.config.run.steps, f"train {name}", "step", initial=trainer.step)

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        row = self.metrics.latest
        if self._bar is not None:
            self._bar.set_postfix_str(
                ", ".join([f"loss {metrics.loss:.4f}", *rates(row), *self._slow()]), refresh=False
            )
            self._bar.update(1)
        elif row and row["step"] != self._shown:
            self._shown = row["step"]
            steps, done = trainer.config.run.steps, trainer.step - self._first
            left = timedelta(seconds=round((time.perf_counter() - self._started) / done * (steps - trainer.step)))
            words = [f"step {trainer.step}/{steps}", f"loss {metrics.loss:.4f}", f"lr {metrics.lr:.1e}", *rates(row)]
            print(", ".join([*words, *self._slow(), f"{left} left"]), file=sys.stderr, flush=True)

    def _slow(self) -> list[str]:
        return [words] if (words := slowest.in_words(self.stragglers.latest)) else []

    def on_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.close()


def rates(row: dict[str, Any]) -> list[str]:
    """The speed of a line of metrics, in words."""
    if not row:
        return []
    device = "GPU" if ON_GPU else "process"
    words = [
        f"{row['tokens_per_second_per_gpu']:,.0f} tok/s/{device}",
        f"{row['tflops_per_gpu']:.4g} TFLOP/s/{device}",
        f"data wait {row['data_wait']:.1%}",
    ]
    if row["mfu"] is not None:
        words.insert(2, f"MFU {row['mfu']:.1%}")
    if ON_GPU:
        words.append(f"{row['memory_gib']} GiB")
    if row["skipped"]:
        words.append(f"{row['skipped']} skipped")
    words += [f"{row['wall_seconds_per_step']:.3g} s/step", goodput.in_words(row)]
    return words
