"""Hanging runs: every rank says where it stands, the silent one is named, and the processes end."""

import faulthandler
import linecache
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch

from megatron_rfft.common.cli import EXIT_HUNG
from megatron_rfft.training import waiting
from megatron_rfft.training.collective import on_first_rank
from megatron_rfft.training.trainer import Callback, Order, StepMetrics, Trainer

_BLOCKING = re.compile(r"\.(item|tolist|cpu|wait|synchronize|all_reduce|all_gather\w*|broadcast\w*|barrier|recv)\(")
_PACKAGE = f"{os.sep}megatron_rfft{os.sep}"
_TORCH = f"{os.sep}torch{os.sep}"


class Watchdog(Callback):
    """Ends the process with code 76 when a step (with its callbacks) takes longer than ``timeout`` seconds, or when a
    checkpoint that is waited for does not get on for as long.

    A thread on each rank watches; a healthy run costs nothing, for nothing is sent or written. All ranks end a step
    together, so when one hangs, all time out together: each writes its stacks to ``folder/START/rank-N.txt``, waits a
    little for the others, and the lowest one names those who wrote nothing (stopped, dead or cut off), else those who
    do not wait for others.
    """

    order = Order.WATCHING

    def __init__(self, folder: Path, timeout: float):
        self.folder, self.timeout = folder, timeout
        self.grace = min(30.0, max(2.0, timeout / 10))
        """Seconds for the reports of other ranks to appear."""
        self._ended = threading.Event()

    def on_start(self, trainer: Trainer) -> None:
        self.folder = self.folder / on_first_rank(lambda: time.strftime("%Y%m%d-%H%M%S"))
        self._rank, self._ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self._trainer = trainer
        self.on_step(trainer, None)
        threading.Thread(target=self._watch, daemon=True).start()

    def on_step(self, trainer: Trainer, metrics: StepMetrics | None) -> None:
        self._step = trainer.step
        trainer.note_progress("")

    def on_end(self, trainer: Trainer) -> None:
        self._ended.set()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        pause = min(5.0, self.timeout / 10)
        while not self._ended.wait(pause):
            # Where native code keeps the interpreter's lock, this thread stands still too: then faulthandler, which
            # needs no lock, writes the stacks to stderr and ends the process (with code 1, it knows no other).
            faulthandler.dump_traceback_later(self.timeout + 2 * self.grace + pause, exit=True)
            if time.monotonic() - self._trainer.last_progress > self.timeout:
                self._end()

    def _end(self) -> None:
        try:
            self._report()
            time.sleep(self.grace)
            self._name_the_late()
        finally:
            sys.stderr.flush()
            os._exit(EXIT_HUNG)  # the main thread is stuck: nothing else ends it

    def _report(self) -> None:
        """Write where this rank stands: its first line is for ``_name_the_late``."""
        frame = sys._current_frames().get(threading.main_thread().ident)
        where, waits = position(frame)
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".rank-{self._rank}.tmp"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(f"{'waits for others or the device' if waits else 'does not wait'}: {where}\n")
            file.write(f"rank {self._rank} of {self._ranks}, {socket.gethostname()}, process {os.getpid()}\n")
            file.write(f"step {self._step} is done{self._waiting()}, nothing for {self.timeout:g} s\n\n")
            file.flush()
            faulthandler.dump_traceback(file, all_threads=True)
        temporary.rename(self.folder / f"rank-{self._rank}.txt")

    def _waiting(self) -> str:
        return f", {self._trainer.waiting_for}" if self._trainer.waiting_for else ""

    def _name_the_late(self) -> None:
        found = {}
        for rank in range(self._ranks):
            file = self.folder / f"rank-{rank}.txt"
            if file.is_file():
                found[rank] = file.read_text(encoding="utf-8").splitlines()[0]
        if min(found) != self._rank:
            return
        silent = [rank for rank in range(self._ranks) if rank not in found]
        busy = [rank for rank, line in found.items() if line.startswith("does not wait")]
        late = "all ranks wait: a collective does not come back (network, driver, or ranks that disagree)"
        if silent:
            late = f"{_ranks(silent)} gave no sign of life: stopped, dead or cut off"
        elif busy:
            late = "; ".join(f"rank {rank} {found[rank]}" for rank in busy[:4])
        print(
            f"error: no step for {self.timeout:g} s (guard.hang_timeout) after step {self._step}{self._waiting()}; "
            f"{late}; stacks in {self.folder}; run it again, it continues",
            file=sys.stderr,
        )


def position(frame: FrameType | None) -> tuple[str, bool]:
    """The innermost line of this package in a stack, and whether the stack waits for other ranks or the device."""
    # What measures a wait is no place of its own.
    frames = [entry for entry in _outwards(frame) if entry.f_code.co_filename != waiting.__file__]
    if not frames:
        return "unknown", False
    inner = frames[0]
    line = linecache.getline(inner.f_code.co_filename, inner.f_lineno)
    waits = _TORCH in inner.f_code.co_filename or bool(_BLOCKING.search(line))
    own = next((entry for entry in frames if _PACKAGE in entry.f_code.co_filename), inner)
    file = own.f_code.co_filename.rpartition(_PACKAGE)[2]
    return f"{file}:{own.f_lineno} {own.f_code.co_name}", waits


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _ranks(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:16])) + (", ..." if len(numbers) > 16 else "")
    return f"rank {shown}" if len(numbers) == 1 else f"ranks {shown}"
