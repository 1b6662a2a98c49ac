"""A trace of some steps, for chrome://tracing or ui.perfetto.dev."""

from pathlib import Path

import torch

from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class Profile(Callback):
    """Records the steps after ``start`` up to ``stop`` on rank 0 into ``folder/trace-START-STOP.json``.

    A run that resumes within these steps records nothing.
    """

    order = Order.SHOWING

    def __init__(self, folder: Path, start: int, stop: int):
        self.folder, self.start, self.stop = folder, start, stop
        self._profiler: torch.profiler.profile | None = None

    def on_start(self, trainer: Trainer) -> None:
        self._begin(trainer)

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if self._profiler is not None and trainer.step == self.stop:
            self._write()
        self._begin(trainer)

    def on_end(self, trainer: Trainer) -> None:
        if self._profiler is not None:  # the run ended within the window
            self._write()

    def _begin(self, trainer: Trainer) -> None:
        if trainer.step == self.start and torch.distributed.get_rank() == 0:
            self._profiler = torch.profiler.profile()
            self._profiler.start()

    def _write(self) -> None:
        profiler, self._profiler = self._profiler, None
        profiler.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(self.folder / f"trace-{self.start}-{self.stop}.json"))
