"""Run under torchrun: the training command's own callbacks around the real loop, with one batch spoilt.

``callbacks_worker.py JOBS.json`` with ``[{"config", "overrides", "spoilt", "attempts"}]``: each attempt trains until it
ends or until that many steps; a batch with the sequence ``spoilt`` has a loss that is not a number. Beside each run's
files lies ``weights.json``: the sum of the weights after each step of the last attempt.
"""

import contextlib
import json
import math
import sys
from pathlib import Path

import torch

from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.data.dataset import PackedBatch, PackedDataset
from megatron_rfft.mcore import dist_checkpointing
from megatron_rfft.mcore.saving import StateSaver
from megatron_rfft.train import make_callbacks
from megatron_rfft.training.checkpoint import content_metadata
from megatron_rfft.training.checkpoint_files import STATE
from megatron_rfft.training.checkpoint_save import CheckpointSave
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
from megatron_rfft.training.trainer import Callback, StepMetrics, Trainer
from megatron_rfft.training.validation_data import open_validation
from tests.training.worker import Killed


class SpoiltBatch(PackedBatch):
    """A micro-batch whose loss will be infinite."""


class Spoilt:
    """A data set with one sequence whose batches are spoilt."""

    def __init__(self, dataset, sequence: int):
        self._dataset, self._sequence = dataset, sequence

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def batch(self, sequences):
        batch = self._dataset.batch(sequences)
        return SpoiltBatch(**vars(batch)) if self._sequence in sequences else batch


class SpoiltTrainer(Trainer):
    """Trains as Trainer does, on losses that are infinite where the batch is spoilt."""

    def _forward_step(self, batches, model):
        batch = next(batches)
        output, loss_function = super()._forward_step(iter([batch]), model)
        if isinstance(batch, SpoiltBatch):
            return output, lambda losses: loss_function(losses * math.inf)
        return output, loss_function


class Recorder(Callback):
    """Sums the weights after each step, and ends the run after ``last`` steps."""

    def __init__(self, last: int | None):
        self.sums: dict[int, float] = {}
        self.last = last

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        self.sums[metrics.step] = float(
            sum(p.detach().double().sum() for stage in trainer.stages for p in stage.parameters())
        )
        if metrics.step == self.last:
            raise Killed


def attempt(config: TrainConfig, spoilt: int, last: int | None) -> Trainer:
    dataset = config.data.open(config.run.seed)
    validation = open_validation(config, dataset)
    model = config.model.resolve(dataset.vocab_size)
    initialize_parallel(config, model)
    recorder = Recorder(last)
    callbacks = [recorder, *reversed(make_callbacks(config, validation))]  # called by their order all the same
    trainer = SpoiltTrainer(config, model, Spoilt(dataset, spoilt), callbacks)
    try:
        with contextlib.suppress(Killed):
            trainer.run()
    except CommandFailed as error:
        (Path(config.run.output) / "failed.txt").write_text(str(error))
    if torch.distributed.get_rank() == 0:
        (Path(config.run.output) / "weights.json").write_text(json.dumps(recorder.sums))
    return trainer


def losses_one_by_one(trainer: Trainer, config: TrainConfig) -> list[list]:
    """[task, length, loss sum, target tokens] of each validation document, alone in its forward pass."""
    length = config.validation.sequence_length or config.data.sequence_length
    multiple = config.data.document_multiple
    dataset = PackedDataset(config.validation.data, length, config.run.seed, False, document_multiple=multiple)
    rows = []
    for sequence in range(dataset.epoch_length):
        loss, tokens = trainer.evaluate([dataset.batch([sequence])])
        (document,) = dataset.documents_in(sequence).tolist()
        row = dataset.parts[0].rows[document]
        rows.append([dataset.parts[0].manifest["tasks"][row["task"]], int(row["length"]), loss * tokens, tokens])
    return rows


def copied(folder: Path) -> list[float]:
    """The smallest and largest value of a checkpoint of ones that changed after its save had begun."""
    tensor = torch.ones(1 << 24)
    state = {"ones": dist_checkpointing.ShardedTensor.from_rank_offsets("ones", tensor)}
    save = CheckpointSave(folder / "step-00000001", state, lambda hf: None, StateSaver(content_metadata()), step=1)
    tensor.fill_(2.0)
    path = save.finish()
    state = {"ones": dist_checkpointing.ShardedTensor.from_rank_offsets("ones", tensor)}
    loaded = dist_checkpointing.load(state, str(path / STATE))["ones"]
    return [float(loaded.min()), float(loaded.max())]


def main() -> None:
    for job in json.loads(Path(sys.argv[1]).read_text()):
        config = load_config(job["config"], job["overrides"])
        for last in job["attempts"]:
            trainer = attempt(config, job["spoilt"], last)
            if job.get("one_by_one"):
                rows = losses_one_by_one(trainer, config)
                (Path(config.run.output) / "one_by_one.json").write_text(json.dumps(rows))
            if job.get("copied"):
                folder = Path(config.run.output)
                (folder / "copied.json").write_text(json.dumps(copied(folder)))
            destroy_parallel(keep_process_group=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
