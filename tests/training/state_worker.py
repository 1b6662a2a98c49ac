"""Run under torchrun: what a checkpoint takes from each rank, and whether a resumed run begins where it was saved.

``state_worker.py JOBS.json`` with ``[{"name", "config", "overrides"}]``: each run trains one step after a checkpoint,
then is started again. Beside the jobs lie, by name and rank, the bytes of the copy in host memory and digests of the
whole state. With ``"clock": "first rank"`` no other rank's clock moves.
"""

import contextlib
import hashlib
import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from megatron_rfft.mcore import tensor_parallel
from megatron_rfft.train import make_callbacks
from megatron_rfft.training.callbacks import Checkpointing, checkpointing
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
from megatron_rfft.training.trainer import Callback, StepMetrics, Trainer
from tests.training.conftest import CHECKPOINT
from tests.training.worker import Killed, gather_parameters


def digest(value: object) -> str:
    """Of tensors, arrays and plain values in any nesting."""
    found = hashlib.sha256()

    def add(value: object) -> None:
        if isinstance(value, torch.Tensor):
            value = value.detach().reshape(-1).view(torch.uint8).numpy()
        if isinstance(value, np.ndarray):
            found.update(value.tobytes())
        elif isinstance(value, dict):
            add(sorted(value))
            add([value[key] for key in sorted(value)])
        elif isinstance(value, (list, tuple)):
            for each in value:
                add(each)
        else:
            found.update(repr(value).encode())

    add(value)
    return found.hexdigest()


def whole_state(trainer: Trainer) -> dict[str, str]:
    """Digests of everything that the next step depends on."""
    optimizers = [part.optimizer for part in trainer.optimizer.chained_optimizers]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    batch = next(iter(trainer._micro_batches()))
    return {
        "weights": digest([list(stage.state_dict().values()) for stage in trainer.stages]),
        "main weights": digest([_parameters(optimizer) for optimizer in optimizers]),
        "moments": digest([optimizer.state[p] for optimizer in optimizers for p in _parameters(optimizer)]),
        "groups": digest([{key: group[key] for key in ("lr", "weight_decay", "betas", "eps")} for group in groups]),
        "scheduler": digest(trainer.scheduler.state_dict()),
        "random": digest([torch.get_rng_state(), np.random.get_state(), random.getstate()]),
        "random, split": digest(tensor_parallel.get_cuda_rng_tracker().get_states()),
        "data": digest([trainer.consumed_samples, batch.tokens, batch.labels, batch.loss_mask]),
        "callbacks": digest(trainer.callback_states()),
    }


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


class Witness(Callback):
    """Notes the state where a run is saved or goes on; ends it one step later. Stands last."""

    def __init__(self):
        self.states: list[dict[str, str]] = []

    def _note(self, trainer: Trainer) -> None:
        if trainer.step == CHECKPOINT:
            gather_parameters(trainer)
            self.states.append(whole_state(trainer))

    def on_start(self, trainer: Trainer) -> None:
        self._note(trainer)

    def on_step(self, trainer: Trainer, metrics: StepMetrics) -> None:
        self._note(trainer)
        if trainer.step > CHECKPOINT:
            (saving,) = (each for each in trainer.callbacks if isinstance(each, Checkpointing))
            if saving._saver is not None:  # the resumed run ends before it saves
                self.host_bytes = saving._saver.host_bytes
            saving.on_end(trainer)
            raise Killed


def attempt(job: dict) -> Witness:
    config = load_config(job["config"], job["overrides"])
    dataset = config.data.open(config.run.seed)
    model = config.model.resolve(dataset.vocab_size)
    initialize_parallel(config, model)
    if job.get("clock") == "first rank" and torch.distributed.get_rank():
        checkpointing.time = SimpleNamespace(monotonic=lambda: 0.0)
    witness = Witness()
    trainer = Trainer(config, model, dataset, [*make_callbacks(config, None), witness])
    with contextlib.suppress(Killed):
        trainer.run()
    destroy_parallel(keep_process_group=True)
    return witness


def main() -> None:
    jobs_file = Path(sys.argv[1])
    results = {}
    for job in json.loads(jobs_file.read_text()):
        first, second = attempt(job), attempt(job)
        mine = {"saved": first.states, "resumed": second.states, "host_bytes": first.host_bytes}
        found = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, mine)
        results[job["name"]] = found
    if torch.distributed.get_rank() == 0:
        jobs_file.with_suffix(".results.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
