"""Slow ranks: which one computes longest before the others get what they wait for."""

import math
import socket
import time
from typing import Any

import torch

from megatron_rfft.mcore import DEVICE, parallel_state
from megatron_rfft.training.callbacks.records import Records
from megatron_rfft.training.slowest import slowest
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class Stragglers(Callback):
    """About every ``seconds`` seconds, a line of ``ranks.jsonl`` about one step: the seconds of each rank without its
    waits for others, and the slowest one (``slowest.py``). The first step, which warms up, is not looked at.

    Ranks agree by counting steps when to look, so the other steps cost nothing.
    """

    order = Order.MEASURING

    def __init__(self, records: Records, seconds: float = 60.0):
        self.records, self.seconds = records, seconds
        self.latest: dict[str, Any] = {}
        """The newest line, on rank 0."""

    def on_start(self, trainer: Trainer) -> None:
        ranks = torch.distributed.get_world_size()
        self._hosts: list[str] = [""] * ranks
        torch.distributed.all_gather_object(self._hosts, socket.gethostname())
        self._next, self._last = trainer.step + 2, trainer.step
        self._looked = time.perf_counter()

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if len(self._hosts) == 1:
            return
        if metrics.own_seconds is not None:
            self._compare(trainer, metrics.own_seconds)
        trainer.time_waits = trainer.step + 1 == self._next

    def _compare(self, trainer: Trainer, own: float) -> None:
        now = time.perf_counter()
        pause = math.ceil(self.seconds * (trainer.step - self._last) / max(now - self._looked, 1e-9))
        self._looked, self._last = now, trainer.step
        mine = torch.tensor([own, parallel_state.get_pipeline_model_parallel_rank(), pause], dtype=torch.float64)
        every = [torch.empty(3, dtype=torch.float64, device=DEVICE) for _ in self._hosts]
        torch.distributed.all_gather(every, mine.to(DEVICE))
        seconds, stages, pauses = torch.stack(every).T.tolist()
        self._next = trainer.step + max(1, int(pauses[0]))
        row = {"step": trainer.step, **slowest(seconds, [int(stage) for stage in stages], self._hosts)}
        row["ranks"] = [round(one, 4) for one in seconds]
        self.records.write("ranks", row)
        if self.records.is_writer:
            self.latest = row
            self.records.plot(trainer.step, {"ranks/slowest": row["seconds"], "ranks/median": row["median"]})
