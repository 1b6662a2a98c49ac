"""What happens around the loop: checkpoints, metrics, the status line."""

import contextlib
import json
import math
import os
import signal
import time
from pathlib import Path
from typing import IO, Any

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.mcore import DEVICE
from megatron_rfft.training.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from megatron_rfft.training.checkpoint_files import prune_checkpoints
from megatron_rfft.training.trainer import Callback, StepMetrics, Trainer


class Checkpointing(Callback):
    """Resumes from the run's newest intact checkpoint, saves every ``interval`` steps and at the end, keeps a few."""

    def __init__(self, folder: Path, interval: int, keep: int, load: str | None = None):
        self.folder, self.interval, self.keep, self.load = folder, interval, keep, load

    def on_start(self, trainer: Trainer) -> None:
        if (newest := newest_checkpoint(self.folder)) is not None:
            load_checkpoint(trainer, newest, verify=False)
        elif self.load is not None:
            load_checkpoint(trainer, Path(self.load), weights_only=True)

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if trainer.step % self.interval == 0 or trainer.step == trainer.config.run.steps or trainer.stopping:
            save_checkpoint(trainer, self.folder)
            if torch.distributed.get_rank() == 0:
                prune_checkpoints(self.folder, self.keep)


class StopOnSignal(Callback):
    """SIGTERM or SIGUSR1 on any rank: every rank ends after the same step, so that the checkpoint is whole.

    Stands before ``Checkpointing``, which saves when the run is about to stop.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def on_start(self, trainer: Trainer) -> None:
        self._before = {number: signal.signal(number, self._receive) for number in self.SIGNALS}

    def _receive(self, number: int, frame: Any) -> None:
        self.received = number

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        received = torch.tensor([self.received or 0], device=DEVICE)
        torch.distributed.all_reduce(received, op=torch.distributed.ReduceOp.MAX)
        if number := int(received):
            self.received = number
            trainer.stopping = True

    def on_end(self, trainer: Trainer) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class NanGuard(Callback):
    """Stops at once when the loss is no longer a number: nothing after it is worth the machine time."""

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if not math.isfinite(metrics.loss) or not math.isfinite(metrics.grad_norm):
            last = metrics.step * trainer.config.batch.global_batch_size
            first = last - trainer.config.batch.global_batch_size
            raise UserError(
                f"step {metrics.step}: loss {metrics.loss}, gradient norm {metrics.grad_norm} "
                f"(sequences {first} to {last - 1}); lower optimizer.lr or look at the data"
            )


class Metrics(Callback):
    """``metrics.jsonl`` and TensorBoard events, every ``interval`` steps, from rank 0.

    A resumed run cuts the file back to its checkpoint, so that every step stands there once.
    """

    def __init__(self, folder: Path, interval: int, tensorboard: bool):
        self.folder, self.interval, self.use_tensorboard = folder, interval, tensorboard
        self._file: IO[str] | None = None
        self._board = None
        self._tokens, self._seconds = 0, 0.0

    def on_start(self, trainer: Trainer) -> None:
        if torch.distributed.get_rank() != 0:
            return
        path = self.folder / "metrics.jsonl"
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= trainer.step]
        path.write_text("".join(kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        if self.use_tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=trainer.step + 1)

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if self._file is None:
            return
        self._tokens += metrics.tokens
        self._seconds += metrics.seconds
        if metrics.step % self.interval and metrics.step != trainer.config.run.steps:
            return
        values = {
            "step": metrics.step,
            "loss": metrics.loss,
            "grad_norm": metrics.grad_norm,
            "lr": metrics.lr,
            "target_tokens": metrics.target_tokens,
            "consumed_samples": trainer.consumed_samples,
            "tokens_per_second": round(self._tokens / self._seconds, 1),
        }
        self._tokens, self._seconds = 0, 0.0
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()
        if self._board is not None:
            for name in ("loss", "grad_norm", "lr", "tokens_per_second"):
                self._board.add_scalar(f"train/{name}", values[name], metrics.step)

    def on_end(self, trainer: Trainer) -> None:
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()


def _lines(path: Path) -> list[str]:
    """Whole lines of a file; a last line without its newline was cut by a kill."""
    if not path.is_file():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]


class StatusLine(Callback):
    """A progress bar with loss, learning rate and tokens/s, on rank 0."""

    def on_start(self, trainer: Trainer) -> None:
        self._bar = None
        if torch.distributed.get_rank() == 0:
            name = Path(trainer.config.run.output).name
            self._bar = progress_bar(trainer.config.run.steps, f"train {name}", "step", initial=trainer.step)
        self._tokens, self._started = 0, time.perf_counter()

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if self._bar is None:
            return
        self._tokens += metrics.tokens
        rate = self._tokens / (time.perf_counter() - self._started)
        self._bar.set_postfix_str(f"loss {metrics.loss:.4f}, lr {metrics.lr:.1e}, {rate:,.0f} tok/s", refresh=False)
        self._bar.update(1)

    def on_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.close()


@contextlib.contextmanager
def run_lock(folder: Path):
    """Hold the run folder: a second launch into it is refused while the first is alive (the kernel drops the lock)."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{folder} is in use by another process; wait for it or set another run.output") from error
        yield
    finally:
        os.close(descriptor)
