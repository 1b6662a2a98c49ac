"""Saving and resuming."""

import time
from functools import partial
from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.mcore import DEVICE
from megatron_rfft.tokenization.integrity import TokensCheck
from megatron_rfft.training.checkpoint import TrainerSaver, load_checkpoint, newest_checkpoint
from megatron_rfft.training.checkpoint_files import mark_best, prune_checkpoints
from megatron_rfft.training.checkpoint_save import CheckpointSave
from megatron_rfft.training.collective import on_first_rank
from megatron_rfft.training.config import CheckpointSection
from megatron_rfft.training.early_stop import best_step
from megatron_rfft.training.goodput import CHECKPOINT
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class Checkpointing(Callback):
    """Resumes from the run's newest intact checkpoint in ``folder``. Saves every so many steps and minutes, after the
    steps ``at``, on request and at the end; keeps the newest ones, those of ``at`` and the best one.

    A checkpoint is written while training goes on, if ``asynchronous``; there is at most one under way, and the run
    does not end before it is whole. Only a run that a signal ends gives up an older one for the last: it has to be
    quick.

    There is no checkpoint of a model that was trained on damaged data: before the first one, ``tokens_check``, which is
    at work on the first rank while the first steps are trained, has to end well, or the run ends on every rank.
    """

    order = Order.SAVING
    activity = CHECKPOINT

    def __init__(self, folder: Path, settings: CheckpointSection, tokens_check: TokensCheck | None = None):
        self.folder, self.settings = folder, settings
        self._tokens_check, self._data_is_sound = tokens_check, False
        self._saver: TrainerSaver | None = None
        self._pending: CheckpointSave | None = None

    def on_start(self, trainer: Trainer) -> None:
        if (newest := newest_checkpoint(self.folder)) is not None:
            load_checkpoint(trainer, newest, verify=False)
        elif self.settings.load is not None:
            load_checkpoint(trainer, Path(self.settings.load), weights_only=True)
        self._last = time.monotonic()

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if self._pending is not None and self._pending.poll():
            self._pending = None
        last = trainer.step == trainer.config.run.steps or trainer.stopping
        due = trainer.step % self.settings.interval == 0 or trainer.step in self.settings.at or self._time_is_up()
        if due or trainer.save_requested or last:
            trainer.save_requested = False
            self._require_sound_data()
            self._save(trainer)
            if last or not self.settings.asynchronous:
                self._finish(trainer)

    def on_end(self, trainer: Trainer) -> None:
        self._finish(trainer)

    def _time_is_up(self) -> bool:
        """Whether the minutes are over, by the first rank's clock: the others' may say something else."""
        if not self.settings.minutes:
            return False
        over = time.monotonic() - self._last >= 60 * self.settings.minutes
        decision = torch.tensor([over], dtype=torch.int32, device=DEVICE)
        torch.distributed.broadcast(decision, src=0)
        return bool(decision)

    def _save(self, trainer: Trainer) -> None:
        if self._pending is not None and trainer.hurry:
            self._pending.abandon()
        else:
            self._finish(trainer)
        self._saver = self._saver or TrainerSaver(trainer)
        tidy_up = partial(self._tidy_up, best_step(trainer.callback_states()))
        self._pending = self._saver.start(self.folder, tidy_up)
        self._last = time.monotonic()

    def _tidy_up(self, best: int | None) -> None:
        if best is not None:
            mark_best(self.folder, best)
        prune_checkpoints(self.folder, self.settings.keep, self.settings.at)

    def _require_sound_data(self) -> None:
        if self._data_is_sound:
            return
        if problem := on_first_rank(lambda: self._tokens_check.problem() if self._tokens_check else None):
            raise UserError(problem)
        self._data_is_sound = True

    def _finish(self, trainer: Trainer) -> None:
        """Wait for the checkpoint under way; as long as something of it is written, the run is alive."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None

        def note() -> None:
            done = f"{pending.bytes_written / 1e9:.1f} of {pending.bytes / 1e9:.1f} GB"
            trainer.note_progress(f"writing {pending.final.name}: {done}")

        pending.finish(note)
        trainer.note_progress("")
