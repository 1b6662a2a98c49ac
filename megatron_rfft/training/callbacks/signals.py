"""Ending on a signal, with all work saved."""

import signal
from typing import Any

import torch

from megatron_rfft.mcore import DEVICE
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class StopOnSignal(Callback):
    """SIGTERM or SIGUSR1 on any rank: every rank ends after the same step, so that the checkpoint is whole."""

    order = Order.DECIDING

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
            trainer.stopping, trainer.hurry = signal.Signals(number).name, True

    def on_end(self, trainer: Trainer) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
