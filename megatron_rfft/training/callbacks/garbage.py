"""Python's garbage collection, at the same step on every rank."""

import gc

from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer


class GarbageCollection(Callback):
    """Collects every ``interval`` steps, and at no other time.

    Left alone, each rank would stop somewhere else within a step, and all would wait for each. What is there at the
    start, the model above all, is not looked through again.
    """

    order = Order.WATCHING

    def __init__(self, interval: int = 10):
        self.interval = interval

    def on_start(self, trainer: Trainer) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        if trainer.step % self.interval == 0:
            gc.collect()

    def on_end(self, trainer: Trainer) -> None:
        gc.enable()
        gc.unfreeze()
