"""Progress bars that also read well in a log file."""

import sys
from typing import TextIO

from tqdm import tqdm


def progress_bar(total: int, description: str, unit: str, *, initial: int = 0, file: TextIO | None = None) -> tqdm:
    """A tqdm bar on stderr: alive on a terminal, one line about every 10 s in a log."""
    stream = file or sys.stderr
    interval = 0.2 if stream.isatty() else 10.0
    return tqdm(
        total=total,
        initial=initial,
        desc=description,
        unit=f" {unit}",
        file=stream,
        mininterval=interval,
        maxinterval=max(interval, 10.0),
        dynamic_ncols=stream.isatty(),
        ncols=None if stream.isatty() else 100,
    )
