"""A Hugging Face folder with each checkpoint, written while training goes on."""

import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.training.checkpoint_files import list_checkpoints
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class Export(Callback):
    """Exports finished checkpoints below ``checkpoints`` to ``folder/step-XXXXXXXX`` by ``export(checkpoint, target)``.

    A thread of the first rank does it, one checkpoint at a time: the newest one when it is free, and the last one
    before the run ends. Exports go when their checkpoints do. One that fails is told of and does not end the run.
    """

    order = Order.EXPORTING

    def __init__(self, checkpoints: Path, folder: Path, export: Callable[[Path, Path], object]):
        self.checkpoints, self.folder, self.export = checkpoints, folder, export
        self._thread: threading.Thread | None = None
        self._tried: Path | None = None

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if torch.distributed.get_rank() == 0 and (self._thread is None or not self._thread.is_alive()):
            self._begin()

    def on_end(self, trainer: Trainer) -> None:
        if torch.distributed.get_rank() == 0:
            self._wait()
            self._begin()
            self._wait()
            self._prune()

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> None:
        found = list_checkpoints(self.checkpoints)
        if not found or found[-1] == self._tried or (self.folder / found[-1].name).exists():
            return
        self._tried = found[-1]
        self._prune()
        # Not a daemon: Python waits for it if the run fails meanwhile, as for a checkpoint that is worth having.
        self._thread = threading.Thread(target=self._export, args=(found[-1],))
        self._thread.start()

    def _export(self, checkpoint: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.export(checkpoint, self.folder / checkpoint.name)
        except (UserError, CommandFailed, OSError) as error:
            print(f"note: {checkpoint} was not exported ({error}); rfft convert to-hf does it", file=sys.stderr)

    def _prune(self) -> None:
        kept = {path.name for path in list_checkpoints(self.checkpoints)}
        for path in [*self.folder.glob("step-*"), *self.folder.glob(".step-*.tmp")]:
            if path.name.removeprefix(".").removesuffix(".tmp") not in kept:
                shutil.rmtree(path)
