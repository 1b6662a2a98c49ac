"""What happened to a training run, in the order of time: starts, signals, skipped batches, the best validation."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from megatron_rfft.training.history import History

MOST_SKIPPED = 8
"""Skipped batches that are told of one by one."""
WITHOUT_A_WORD = "ended without a word: it was killed, it failed, or a node was lost"


@dataclass(frozen=True)
class Event:
    """Something that happened to a run."""

    time: float | None
    """Unix seconds; None where nothing tells it."""
    step: int | None
    """After which step; None where nothing tells it."""
    text: str
    trouble: bool = False
    """Whether it cost work or time."""


def timeline(history: History, more: Iterable[Event] = ()) -> list[Event]:
    """What the records tell, and ``more`` that others know; what has no time stands first."""
    found = [*_starts(history), *_skipped(history), *_validation(history), *more]
    return sorted(found, key=lambda event: event.time or 0.0)


def duration(seconds: float) -> str:
    """In words of one unit: 95 s, 14 min, 5.2 h, 3.1 days."""
    for most, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}" if unit != "h" else f"{seconds / size:.1f} h"
    return f"{seconds / 86400:.1f} days"


def _starts(history: History) -> Iterator[Event]:
    starts = history.starts()
    for number, start in enumerate(starts):
        first, last = start.rows[0], start.rows[-1]
        after, nth = first["step"] - first["steps"], first["wall"]["restarts"] + 1
        text = "first step" if nth == 1 else f"start {nth} went on after step {after}"
        text += f", {duration(start.pause)} after the last line before it" if nth > 1 else ""
        text += f"; {start.again} steps were done again" if start.again else ""
        yield Event(start.began, after, text, trouble=nth > 1)
        following = starts[number + 1] if number + 1 < len(starts) else None
        if start.stopped:
            yield Event(last["time"], last["step"], f"stopped by {start.stopped}", trouble=True)
        elif following:
            ended = following.began - following.pause
            yield Event(ended, last["step"] + following.again, f"start {nth} {WITHOUT_A_WORD}", trouble=True)
    if starts and history.finished:
        last = starts[-1].rows[-1]
        yield Event(last["time"], last["step"], history.finished)


def _skipped(history: History) -> Iterator[Event]:
    for row in history.skipped[:MOST_SKIPPED]:
        text = f"the update of step {row['step']} was skipped: {row['reason']}"
        yield Event(history.time_of(row["step"]), row["step"], text, trouble=True)
    if more := history.skipped[MOST_SKIPPED:]:
        text = f"{len(more)} more updates were skipped"
        yield Event(history.time_of(more[-1]["step"]), more[-1]["step"], text, trouble=True)


def _validation(history: History) -> Iterator[Event]:
    best = history.validation[-1].get("best_step") if history.validation else None
    if best is not None:
        text = f"best validation loss: {history.validation[-1]['best_loss']:.4g}"
        yield Event(history.time_of(best), best, text)
