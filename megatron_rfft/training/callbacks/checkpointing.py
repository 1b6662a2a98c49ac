"""Saving and resuming."""

from collections.abc import Sequence
from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.tokenization.integrity import TokensCheck
from megatron_rfft.training.checkpoint import CheckpointSave, load_checkpoint, newest_checkpoint, save_checkpoint
from megatron_rfft.training.checkpoint_files import mark_best, prune_checkpoints
from megatron_rfft.training.early_stop import best_step
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class Checkpointing(Callback):
    """Resumes from the run's newest intact checkpoint, saves every ``interval`` steps, on request and at the end.

    Saves after the steps ``at`` too, and keeps these, the newest ``keep`` and the best one. With ``asynchronous``, a
    checkpoint is written while training goes on; there is at most one under way, and the run does not end before it is
    whole.

    There is no checkpoint of a model that was trained on damaged data: before the first one, ``tokens_check``, which is
    at work on the first rank while the first steps are trained, has to end well, or the run ends on every rank.
    """

    order = Order.SAVING

    def __init__(
        self,
        folder: Path,
        interval: int,
        keep: int,
        load: str | None = None,
        *,
        at: Sequence[int] = (),
        asynchronous: bool = False,
        tokens_check: TokensCheck | None = None,
    ):
        self.folder, self.interval, self.keep, self.load = folder, interval, keep, load
        self.at, self.asynchronous = frozenset(at), asynchronous
        self._tokens_check, self._data_is_sound = tokens_check, False
        self._pending: CheckpointSave | None = None
        self._best: int | None = None

    def on_start(self, trainer: Trainer) -> None:
        if (newest := newest_checkpoint(self.folder)) is not None:
            load_checkpoint(trainer, newest, verify=False)
        elif self.load is not None:
            load_checkpoint(trainer, Path(self.load), weights_only=True)

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if self._pending is not None and self._pending.is_written():
            self._finish()
        last = trainer.step == trainer.config.run.steps or trainer.stopping
        due = trainer.step % self.interval == 0 or trainer.step in self.at
        if due or trainer.save_requested or last:
            trainer.save_requested = False
            self._require_sound_data()
            self._finish()
            self._pending = save_checkpoint(trainer, self.folder, background=self.asynchronous)
            self._best = best_step(trainer.callback_states())
            if last or not self.asynchronous:
                self._finish()

    def on_end(self, trainer: Trainer) -> None:
        self._finish()

    def _require_sound_data(self) -> None:
        if self._data_is_sound:
            return
        problem = [self._tokens_check.problem() if self._tokens_check else None]
        torch.distributed.broadcast_object_list(problem, src=0)
        if problem[0]:
            raise UserError(problem[0])
        self._data_is_sound = True

    def _finish(self) -> None:
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        pending.finish()
        if torch.distributed.get_rank() == 0:
            if self._best is not None:
                mark_best(self.folder, self._best)
            prune_checkpoints(self.folder, self.keep, self.at)
