"""Bad batches: steps that would spoil the weights are skipped and written down."""

import math
import statistics
from typing import Any

import torch

from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.mcore import DEVICE
from megatron_rfft.training.callbacks.records import Records
from megatron_rfft.training.config import GuardSection
from megatron_rfft.training.trainer import Callback, Order, Trainer


class Guard(Callback):
    """Refuses the update of a step whose loss or gradient norm is not a number, or (if asked to) jumps.

    ``skipped.jsonl`` names the batch.

    ``max_skips`` in a row end the run: then it is the weights, or a stretch of the data, and not one batch. What it
    decides follows from the updates before alone, which a checkpoint keeps: a resumed run decides alike.
    """

    order = Order.DECIDING
    state_key = "Guard"

    def __init__(self, records: Records, settings: GuardSection):
        self.records, self.settings = records, settings
        self._in_a_row = self._skipped = 0
        self._losses: list[float] = []
        self._norms: list[float] = []

    def accepts(self, trainer: Trainer, loss: float, grad_norm: float) -> bool:
        reason = self._objection(loss, grad_norm)
        if reason is None:
            self._in_a_row = 0
            if self.settings.spike_factor:
                self._losses = [*self._losses, loss][-self.settings.spike_window :]
                self._norms = [*self._norms, grad_norm][-self.settings.spike_window :]
            return True
        self._in_a_row += 1
        self._skipped += 1
        self._record(trainer, loss, grad_norm, reason)
        return False

    def state(self) -> dict[str, Any]:
        return {
            "in_a_row": self._in_a_row,
            "skipped": self._skipped,
            "losses": self._losses,
            "norms": self._norms,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._in_a_row, self._skipped = state["in_a_row"], state["skipped"]
        self._losses, self._norms = state["losses"], state["norms"]

    def _objection(self, loss: float, grad_norm: float) -> str | None:
        """Why not to update, the same on every rank."""
        # No agreement needed: what is not a number on one rank is none on any, after the sums over ranks.
        if not math.isfinite(loss) or not math.isfinite(grad_norm):
            return "not a number"
        if not self.settings.spike_factor or len(self._losses) < self.settings.spike_window:
            return None
        mean, median = statistics.fmean(self._losses), statistics.median(self._norms)
        factor = self.settings.spike_factor
        # Near the threshold, ranks might differ in the last digit: one that objects is enough.
        objections = torch.tensor([loss > factor * mean, grad_norm > factor * median], dtype=torch.int32, device=DEVICE)
        torch.distributed.all_reduce(objections, op=torch.distributed.ReduceOp.MAX)
        of_loss, of_norm = objections.tolist()
        if of_loss:
            return f"loss above {factor} x {mean:.6g}, the mean of the last {len(self._losses)}"
        return f"gradient norm above {factor} x {median:.6g}, the median of the last" if of_norm else None

    def _record(self, trainer: Trainer, loss: float, grad_norm: float, reason: str) -> None:
        first = trainer.consumed_samples
        last = first + trainer.config.batch.global_batch_size - 1
        batch = [{"sequence": n, "documents": trainer.dataset.describe(n)} for n in range(first, last + 1)]
        row = {"step": trainer.step + 1, "loss": loss, "grad_norm": grad_norm, "reason": reason}
        self.records.write("skipped", {**row, "in_a_row": self._in_a_row, "batch": batch})
        if self._in_a_row == self.settings.max_skips:
            raise CommandFailed(
                f"step {trainer.step + 1}: {reason} (loss {loss:.6g}, gradient norm {grad_norm:.6g}; sequences {first} "
                f"to {last}), {self._in_a_row} skipped in a row: lower optimizer.lr, or look at the data of these "
                f"batches, named in {self.records.folder / 'skipped.jsonl'}"
            )
