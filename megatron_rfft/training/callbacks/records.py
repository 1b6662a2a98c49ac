"""Where numbers go: JSON lines in the run folder, TensorBoard, Weights & Biases; from rank 0."""

import json
import math
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from megatron_rfft.common.files import whole_lines
from megatron_rfft.training.trainer import Callback, Order, Trainer

FILES = ("metrics", "losses", "validation", "skipped", "ranks")


class Records(Callback):
    """The run's files of JSON lines (``FILES``), and its boards; on other ranks it drops what it is given.

    A resumed run cuts the files back to its checkpoint, so that every step stands there once.
    """

    order = Order.RECORDING

    def __init__(self, folder: Path, *, tensorboard: bool = False, wandb: str | None = None):
        self.folder, self.use_tensorboard, self.wandb_project = folder, tensorboard, wandb
        self._files: dict[str, IO[str]] = {}
        self._board = self._wandb = None
        self.is_writer = False
        self.last_line: dict[str, Any] = {}
        """The last line of ``metrics.jsonl`` that the start before wrote, on rank 0; {} if there is none."""
        self.kept_line: dict[str, Any] = {}
        """The last one of those up to the checkpoint."""

    def on_start(self, trainer: Trainer) -> None:
        self.is_writer = torch.distributed.get_rank() == 0
        if not self.is_writer:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            path = self.folder / f"{name}.jsonl"
            lines = list(whole_lines(path))
            kept = [line for line in lines if json.loads(line)["step"] <= trainer.step]
            if name == "metrics":
                self.last_line, self.kept_line = (json.loads(some[-1]) if some else {} for some in (lines, kept))
            if path.is_file() or name == "metrics":
                path.write_text("".join(kept), encoding="utf-8")
        if self.use_tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=trainer.step + 1)
        if self.wandb_project is not None:
            self._wandb = _start_wandb(self.wandb_project, self.folder, trainer.config.as_dict())

    def write(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a line to ``name.jsonl``; numbers that are none become null, for JSON knows no NaN."""
        if not self.is_writer:
            return
        if name not in self._files:
            self._files[name] = (self.folder / f"{name}.jsonl").open("a", encoding="utf-8")
        self._files[name].write(json.dumps(_plain(row), allow_nan=False) + "\n")
        self._files[name].flush()

    def plot(self, step: int, values: Mapping[str, float]) -> None:
        """Show ``values`` (names such as ``train/loss``) on the boards."""
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def on_end(self, trainer: Trainer) -> None:
        for file in self._files.values():
            file.close()
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def _start_wandb(project: str, folder: Path, config: dict[str, Any]) -> Any:
    """A wandb run that is the same one each time this run folder is resumed."""
    import wandb

    identity = folder / "wandb-id"
    if not identity.is_file():
        identity.write_text(uuid.uuid4().hex[:12])
    name = identity.read_text().strip()
    return wandb.init(project=project, id=name, name=folder.name, dir=str(folder), resume="allow", config=config)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
