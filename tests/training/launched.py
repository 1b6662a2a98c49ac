"""A training under torchrun to which something is to happen."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from megatron_rfft.training.checkpoint_files import list_checkpoints
from tests.conftest import ROOT


def losses(run: Path) -> list[float]:
    """The loss of each step of a run."""
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


class Launched:
    """torchrun with ``size`` ranks, after the checkpoint number ``saved`` of its run, which keeps them all."""

    def __init__(self, config: Path, *options: str, size: int = 2, saved: int = 1, timeout: int = 300, overrides=()):
        launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size), *options)
        self.run, self.timeout = config.parent / "run", timeout
        self.told = config.parent / "stderr.txt"  # not a pipe, which many ranks fill while nobody reads
        with self.told.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *launcher, "-m", "megatron_rfft.train", "--config", str(config), *overrides],
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stderr=stderr,
            )
        self.until_saved(saved)

    def until_saved(self, count: int) -> None:
        """Wait until the run has so many checkpoints."""
        self.until(lambda: len(list_checkpoints(self.run / "checkpoints")) >= count)

    def until(self, condition) -> None:
        """Wait for ``condition()`` while the run goes on."""
        deadline = time.monotonic() + self.timeout
        while not condition():
            assert time.monotonic() < deadline
            assert self.process.poll() is None, "the run ended before anything could happen to it"
            time.sleep(0.02)

    def ranks(self) -> list[psutil.Process]:
        """The processes that train."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "megatron_rfft.train" in child.cmdline()]

    def rank(self, number: int) -> psutil.Process:
        """One of them."""
        return next(child for child in self.ranks() if child.environ()["RANK"] == str(number))

    def end(self) -> str:
        """Wait for the end; what was said on stderr."""
        self.process.wait(self.timeout)
        return self.told.read_text()
