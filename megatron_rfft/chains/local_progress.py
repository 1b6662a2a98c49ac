"""What a chain on one machine shows of itself: a block that is drawn anew on a terminal, plain lines in a log."""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from megatron_rfft.chains.local_estimate import clock

_TERMINAL_SECONDS, _LOG_SECONDS = 1.0, 30.0


@dataclass(frozen=True)
class Shown:
    """A stage."""

    name: str
    done: int
    tasks: int
    failed: int
    running: list[tuple[str, str]]
    """Tasks under way, with what each says of itself."""


@dataclass(frozen=True)
class View:
    """A chain at one time."""

    stages: list[Shown]
    seconds: float
    """Since this call began."""
    seconds_left: float
    is_whole: bool
    """Else of some tasks nothing is known yet, and more is left."""

    def lines(self) -> list[str]:
        """A line for each stage and each task under way, then the time."""
        width = max((len(stage.name) for stage in self.stages), default=0)
        lines = []
        for stage in self.stages:
            failed = f", {stage.failed} failed" if stage.failed else ""
            lines.append(f"{stage.name:{width}}  {stage.done} of {stage.tasks}{failed}")
            lines += [f"{'':{width}}    {name}: {text or 'runs'}" for name, text in stage.running]
        return [*lines, self.time_line()]

    def time_line(self) -> str:
        """Tasks done, time gone and left."""
        done, tasks = (sum(getattr(stage, key) for stage in self.stages) for key in ("done", "tasks"))
        words = [f"{done} of {tasks} tasks done", f"{clock(self.seconds)} gone"]
        if self.seconds_left:
            words.append(f"{'about' if self.is_whole else 'more than'} {clock(self.seconds_left)} left")
        return ", ".join(words)


class Display:
    """On ``file``: the block is redrawn in place, and lines about single tasks stay above it."""

    def __init__(self, run: Path, file: TextIO | None = None):
        self.file = file or sys.stderr
        self.on_terminal = self.file.isatty()
        self._block: list[str] = []
        self._next = time.monotonic() + (0.0 if self.on_terminal else _LOG_SECONDS)
        self.line(f"chain in {run}")

    def is_due(self) -> bool:
        """Whether the view is to be shown again."""
        return time.monotonic() >= self._next

    def line(self, text: str) -> None:
        """Something that happened."""
        self._erase()
        stamp = "" if self.on_terminal else time.strftime("%H:%M:%S ")
        print(f"{stamp}{text}", file=self.file, flush=True)
        self._draw()

    def show(self, view: View, *, last: bool = False) -> None:
        """How it stands; ``last``: at the end."""
        self._next = time.monotonic() + (_TERMINAL_SECONDS if self.on_terminal else _LOG_SECONDS)
        if self.on_terminal:
            self._erase()
            columns = shutil.get_terminal_size().columns - 1
            self._block = [line[:columns] for line in view.lines()]
            self._draw()
            if last:
                self._block = []
            return
        running = [f"{stage.name} {name} {text}".rstrip() for stage in view.stages for name, text in stage.running]
        self.line("; ".join([view.time_line(), *running]))

    def _erase(self) -> None:
        if self._block:
            self.file.write(f"\x1b[{len(self._block)}F\x1b[J")

    def _draw(self) -> None:
        if self._block:
            print("\n".join(self._block), file=self.file, flush=True)
