"""A page about training runs: curves, where the loss is, where the time went, what happened; alive while they train."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from markupsafe import Markup

from megatron_rfft.common.files import atomic_write
from megatron_rfft.pages.heat_map import Scale, heat_map
from megatron_rfft.pages.page import render_page
from megatron_rfft.tasks.names import plain_names
from megatron_rfft.training.goodput import seconds_left
from megatron_rfft.training.history import History
from megatron_rfft.training.run_plots import KIND_OF_PART, PANELS, panel_svg, seconds_svg, time_svg
from megatron_rfft.training.timeline import Event, duration, timeline

TEMPLATE = Path(__file__).with_name("run_page.html")
LATE = 10
"""A run whose next line is so many times later than it should be is told of as one that does not train."""
_PARTS = {
    "train": "training",
    "data": "waiting for data",
    "checkpoint": "checkpoints",
    "validation": "validation",
    "other": "all else between steps",
    "restart": "between two starts",
    "again": "steps done again",
}

_COLUMNS: tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("step", "step", lambda row: f"{row['step']:,} of {row['steps']:,}"),
    ("loss", "loss", lambda row: f"{row['loss']:.4g}"),
    ("best validation", "best_loss", lambda row: f"{row['best_loss']:.4g} at {row['best_step']:,}"),
    ("tokens/s", "tokens_per_second", lambda row: f"{row['tokens_per_second']:,.0f}"),
    ("MFU", "mfu", lambda row: f"{100 * row['mfu']:.1f} %"),
    ("memory", "memory_gib", lambda row: f"{row['memory_gib']:.1f} GiB"),
    ("goodput", "goodput", lambda row: f"{100 * row['goodput']:.1f} %"),
    ("restarts", "restarts", lambda row: f"{row['restarts']}"),
    ("left", "seconds_left", lambda row: duration(row["seconds_left"])),
)
"""Of the table of newest numbers: title, the key that it needs, and the text."""


def write_run_page(
    histories: Sequence[History],
    page: Path,
    *,
    title: str = "",
    subtitle: str = "",
    events: Mapping[str, Sequence[Event]] | None = None,
    refresh: int = 0,
) -> dict[str, Any]:
    """Write ``page``, by one rename: whoever looks sees the old page or the new one.

    ``events`` has by name of run what others than the training's own files tell of it. A browser loads the page again
    every ``refresh`` seconds; 0: it does not. Returns by name of run its newest numbers.
    """
    html = render_run_page(histories, title, subtitle, events or {}, refresh)
    with atomic_write(page, durable=False) as handle:
        handle.write(html)
    return {history.name: _newest(history) for history in histories}


def render_run_page(
    histories: Sequence[History],
    title: str,
    subtitle: str,
    events: Mapping[str, Sequence[Event]],
    refresh: int,
) -> str:
    """The page as HTML."""
    now, scale = time.time(), _loss_scale(histories)
    happened = [timeline(history, events.get(history.name, ())) for history in histories]
    panels = [(panel, Markup(panel_svg(panel, histories))) for panel in PANELS]
    return render_page(
        TEMPLATE,
        {"duration": duration, "clock": _clock},
        title=title or "Training: " + ", ".join(history.name for history in histories),
        subtitle=subtitle,
        refresh=refresh,
        now=now,
        runs=[_run(index, history, scale, now) for index, history in enumerate(histories)],
        table=_table([_newest(history) for history in histories]),
        panels=[{"title": panel.title, "svg": svg} for panel, svg in panels if svg],
        missing=_missing(histories),
        seconds=[Markup(seconds_svg(history)) for history in histories],
        over_time=Markup(time_svg(histories, happened)),
        happened=happened,
        parts={name: {"title": _PARTS[name], "kind": kind} for name, kind in KIND_OF_PART.items()},
    )


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _newest(history: History) -> dict[str, Any]:
    """The newest numbers of a run; what it did not log is left out."""
    found: dict[str, Any] = {"step": history.step, "steps": history.steps, "finished": history.finished}
    if not history.metrics:
        return found
    row = history.metrics[-1]
    keys = ("grad_norm", "lr", "tokens_per_second", "mfu", "memory_gib", "goodput")
    found |= {key: row[key] for key in keys if row.get(key)}
    found["loss"] = history.means.get(row["step"], row["loss"])
    if history.validation:
        found |= {key: history.validation[-1][key] for key in ("best_loss", "best_step")}
    if not history.finished:
        found["seconds_left"] = round(seconds_left(row, history.steps - history.step))
    if "wall" in row:
        found["wall_seconds"] = row["wall"]["seconds"]
        found["restarts"] = row["wall"]["restarts"]
    return {key: value for key, value in found.items() if value is not None}


def _table(newest: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The newest numbers as text, a row for each run; columns that no run has are left out."""
    columns = [(title, key, show) for title, key, show in _COLUMNS if any(key in each for each in newest)]
    rows = [[show(each) if key in each else "–" for _, key, show in columns] for each in newest]
    return {"columns": [title for title, _, _ in columns], "rows": rows}


def _run(index: int, history: History, scale: Scale, now: float) -> dict[str, Any]:
    """What the template shows of a run."""
    wall = history.metrics[-1].get("wall", {}).get("seconds") if history.metrics else None
    return {
        "name": history.name,
        "index": index,
        "about": "",
        "note": _state(history, now),
        "folder": str(history.folder),
        "wall": wall,
        "total": sum(wall.values()) if wall else 0.0,
        "heat": _heat(history, scale),
        "config": yaml.safe_dump(dict(history.config), sort_keys=False),
        "unreadable": history.unreadable,
    }


def _state(history: History, now: float) -> str:
    """Whether it trains, in a few words."""
    place = f"step {history.step:,} of {history.steps:,}"
    if history.finished:
        return f"{place}, {history.finished}"
    if not history.metrics:
        return "no step is on record yet"
    row = history.metrics[-1]
    if "stopped" in row:
        return f"{place}, stopped by {row['stopped']}: run it again to go on"
    if "time" not in row:
        return place
    silent, usual = now - row["time"], row["wall_seconds_per_step"] * row["steps"]
    if silent > max(LATE * usual, 60):
        return f"{place}, no line for {duration(silent)}: is it still running?"
    return f"{place}, training"


def _missing(histories: Sequence[History]) -> list[tuple[str, str]]:
    """What is not on the page, and why."""
    found = []
    for panel in PANELS:
        without = [history for history in histories if not panel.curve(history)[0]]
        for reason in dict.fromkeys(panel.missing(history) for history in without):
            names = [history.name for history in without if panel.missing(history) == reason]
            whose = f" of {', '.join(names)}" if len(names) < len(histories) else ""
            found.append((f"{panel.title}{whose}", reason))
    for history in histories:
        whose = f" of {history.name}" if len(histories) > 1 else ""
        if history.metrics and not history.starts():
            found.append((f"where the time went, and when{whose}", "written by a version that did not measure it"))
        if history.metrics and not history.losses.sums:
            found.append((f"losses by task and length{whose}", "losses.jsonl is not there, or empty"))
    return found


def _loss_scale(histories: Sequence[History]) -> Scale:
    """One for all runs: from nearly the least to nearly the largest mean loss of a task, or of a length, in a bin."""
    shown = [
        loss
        for history in histories
        for key in (lambda at, task, _: (at, task), lambda at, _, length: (at, length))
        for loss, _ in history.losses.mean(key).values()
    ]
    return Scale.over([float(value) for value in np.quantile(shown, (0.02, 0.98))] if shown else [], log=True)


def _heat(history: History, scale: Scale) -> list[dict[str, Any]]:
    """The heat maps of a run: tasks and lengths over time, and tasks by lengths at the end."""
    losses = history.losses
    if not losses.sums:
        return []
    ends = [f"{last:,}" for _, last in losses.bounds]
    late = len(ends) - max(1, len(ends) // 8)
    final = losses.mean(lambda at, task, _: task if at >= late else None)
    tasks = sorted({task for _, task, _ in losses.sums}, key=lambda task: (-final.get(task, (0.0, 0))[0], task))
    lengths = sorted({length for _, _, length in losses.sums})
    names, columns = plain_names(tasks), [str(length) for length in lengths]
    row, column = {task: y for y, task in enumerate(tasks)}, {length: x for x, length in enumerate(lengths)}
    by_task = losses.mean(lambda at, task, _: (row[task], at))
    by_length = losses.mean(lambda at, _, length: (column[length], at))
    at_end = losses.mean(lambda at, task, length: (row[task], column[length]) if at >= late else None)
    drawn = (
        ("by task, over the steps", names, ends, by_task, "up to step"),
        ("by length, over the steps", columns, ends, by_length, "up to step"),
        (f"by task and length, since step {losses.bounds[late][0]:,}", names, columns, at_end, "length"),
    )
    return [
        {"title": title, "svg": Markup(_heat_svg(rows, columns, cells, scale, f"Training loss {title}", unit))}
        for title, rows, columns, cells, unit in drawn
    ]


def _heat_svg(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[int, int], tuple[float, int]],
    scale: Scale,
    label: str,
    unit: str,
) -> str:
    values = {place: loss for place, (loss, _) in cells.items()}
    return heat_map(
        rows, columns, values, scale, label, unit, told=lambda y, x: f" over {cells[y, x][1]:,} target tokens"
    )
