"""Run under torchrun: train the same small model in several layouts in turn, in one world of processes.

``worker.py JOBS.json`` with ``[{"name", "overrides", "steps_before_kill"}]``; rank 0 writes ``{name: [[...], ...]}``,
one list per attempt of [loss, gradient norm, learning rate] per step, beside it.
"""

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from megatron_rfft.training.callbacks import Checkpointing
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
from megatron_rfft.training.trainer import Callback, StepMetrics, Trainer


class Killed(Exception):
    """Stands for a process that ends between two steps."""


def gather_parameters(trainer: Trainer) -> None:
    """Have the last step's parameters everywhere: under overlap they are gathered only with the next forward pass."""
    for chunk in trainer.model:
        if chunk.ddp_config.overlap_param_gather:
            chunk.start_param_sync(force_sync=True)


class Recorder(Callback):
    """Keeps every step's numbers, and ends the run after ``last`` steps."""

    def __init__(self, last: int | None):
        self.rows: list[list[float]] = []
        self.last = last

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        self.rows.append([metrics.loss, metrics.grad_norm, metrics.lr])
        if metrics.step == self.last:
            raise Killed


def attempt(config: TrainConfig, last: int | None) -> list[list[float]]:
    """Train (or go on) until the end or until ``last`` steps; the weights' sum is the last row."""
    dataset = config.data.open(config.run.seed)
    model = config.model.resolve(dataset.vocab_size)
    initialize_parallel(config, model)
    recorder = Recorder(last)
    folder = Path(config.run.output) / "checkpoints"
    # What a killed process has begun to save would go on being written here.
    saving = Checkpointing(folder, replace(config.checkpoint, asynchronous=False))
    trainer = Trainer(config, model, dataset, [saving, recorder])
    with contextlib.suppress(Killed):
        trainer.run()
    gather_parameters(trainer)
    total = sum(parameter.double().sum() for stage in trainer.stages for parameter in stage.parameters())
    destroy_parallel(keep_process_group=True)
    return [*recorder.rows, [float(total.detach())]]


def main() -> None:
    jobs_file = Path(sys.argv[1])
    results = {}
    for job in json.loads(jobs_file.read_text()):
        config = load_config(job["config"], job["overrides"])
        results[job["name"]] = [attempt(config, last) for last in job["attempts"]]
    if torch.distributed.get_rank() == 0:
        jobs_file.with_suffix(".results.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
