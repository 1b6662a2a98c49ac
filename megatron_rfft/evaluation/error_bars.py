"""What went wrong: first wrong lines by kind as bars, and how far loop counts are off (the paper's figure 4)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from megatron_rfft.evaluation.figures import Wording
from megatron_rfft.evaluation.runs import Run, task_names
from megatron_rfft.evaluation.steps import ALL_KINDS
from megatron_rfft.pages.style import (
    KIND_COLORS,
    MUTED,
    PAPER,
    STYLE,
    WIDTH,
    Head,
    draw_seed,
    fit_title,
    length_ticks,
    panel_grid,
    percent_axis,
    percent_labels,
    plot_svg,
    run_color,
    run_look,
    save_figure,
)

WIDEST_BAR = 0.72
COLUMNS = 3
LOW_PLOT = (1.9, (0.125, 0.23, 0.85, 0.72))  # on the page: its height in inches, and the place of its axes


def is_traced(run: Run) -> bool:
    """Whether its answers have steps that can go wrong."""
    return any("steps" in cell for task in run.results["tasks"] for cell in run.cells(task).values())


def kinds_by_length(run: Run, tasks: Sequence[str]) -> dict[int, dict[str, Any]]:
    """By length ``n`` answers and ``kinds`` of first wrong lines, of all ``tasks`` together."""
    found: dict[int, dict[str, Any]] = {}
    for task in tasks:
        for length, cell in run.cells(task).items():
            entry = found.setdefault(length, {"n": 0, "kinds": Counter()})
            entry["n"] += cell["n"]
            entry["kinds"].update(cell.get("steps", {}).get("kinds", {}))
    return dict(sorted(found.items()))


def loop_errors(run: Run, tasks: Sequence[str]) -> dict[int, dict[str, Any]]:
    """By length the mean over ``tasks`` of the mean relative error of the loop count.

    ``error`` is a proportion, ``by_seed`` has each seed's. Tasks without loops, and results of versions that did not
    measure it, are left out.
    """
    found: dict[int, list[Mapping[str, Any]]] = {}
    for task in tasks:
        for length, cell in run.cells(task).items():
            loops = cell.get("steps", {}).get("iterations", {})
            if loops.get("relative_error") is not None:
                found.setdefault(length, []).append(loops)
    return {
        length: {
            "error": fmean(loops["relative_error"] for loops in parts),
            "by_seed": {seed: fmean(loops["relative_error_by_seed"][seed] for loops in parts) for seed in run.seeds},
        }
        for length, parts in sorted(found.items())
    }


def draw_bars(axes: Axes, by_length: Mapping[int, Mapping[str, Any]]) -> None:
    """A stacked bar per length: the share of its answers whose first wrong line is of each kind."""
    for place, (length, entry) in enumerate(by_length.items()):
        bottom = 0.0
        for kind, color in zip(ALL_KINDS, KIND_COLORS, strict=True):
            if count := entry["kinds"].get(kind, 0):
                tall = 100 * count / entry["n"]
                place_of_bar = (place - WIDEST_BAR / 2, bottom)
                bar = Rectangle(place_of_bar, WIDEST_BAR, tall, facecolor=color, edgecolor=PAPER, linewidth=0.5)
                bar.set_gid(f"bar: {kind}: {count} of {entry['n']} at length {length}")
                axes.add_patch(bar)
                bottom += tall
    percent_axis(axes)
    axes.set_ylim(0, 104)
    axes.set_xlim(-0.6, len(by_length) - 0.4)
    every = -(-len(by_length) // 12)  # labels that do not touch
    places = range(0, len(by_length), every)
    axes.set_xticks(list(places), [str(list(by_length)[place]) for place in places])


def draw_loop_errors(axes: Axes, errors: Mapping[int, Mapping[int, Mapping[str, Any]]]) -> None:
    """The relative error of the loop count by length in percent, a line per run; ``errors`` by run's number."""
    for index, by_length in reversed(errors.items()):
        for seed in next(iter(by_length.values()))["by_seed"]:
            draw_seed(axes, index, list(by_length), [100 * entry["by_seed"][seed] for entry in by_length.values()])
        axes.plot(list(by_length), [100 * entry["error"] for entry in by_length.values()], **run_look(index))
    highest = max(entry["error"] for by_length in errors.values() for entry in by_length.values())
    axes.set_ylim(-4 if highest > 0.5 else -2, max(axes.get_ylim()[1], 20))
    length_ticks(axes, sorted({length for by_length in errors.values() for length in by_length}))
    percent_labels(axes)


def error_figure(runs: Sequence[Run], wording: Wording) -> Figure | None:
    """For all tasks together: bars of each run that gives traces, and the loop counts of all; None without traces."""
    tasks = task_names(runs)
    traced = {index: run for index, run in enumerate(runs) if is_traced(run)}
    if not traced:
        return None
    errors = {index: by_length for index, run in traced.items() if (by_length := loop_errors(run, tasks))}
    entries = [(index, run.name, wording.about.get(run.name, "")) for index, run in traced.items()]
    number = len(traced) + bool(errors)
    columns = min(number, COLUMNS)
    subtitle = f"{len(tasks)} tasks together" if len(tasks) > 1 else wording.task(tasks[0])
    head = Head("Where answers first went wrong", subtitle, entries)
    rows = [(2.1, min(columns, number - first)) for first in range(0, number, columns)]
    figure, grid = panel_grid(head, rows, columns, below_head=0.05, right=0.3, gap=0.95, bottom=0.95, apart=0.25)
    for position, axes in enumerate(chain.from_iterable(grid)):
        if position < len(traced):
            index = list(traced)[position]
            draw_bars(axes, kinds_by_length(traced[index], tasks))
            fit_title(axes, traced[index].name, pad=6, color=run_color(index))
        else:
            draw_loop_errors(axes, errors)
            fit_title(axes, "loop count: mean relative error", pad=6)
        axes.set_xlabel(wording.unit)
    _draw_kinds(figure, [kind for kind in ALL_KINDS if any(kind in _totals(run, tasks) for run in traced.values())])
    return figure


def _totals(run: Run, tasks: Sequence[str]) -> Counter[str]:
    return sum((entry["kinds"] for entry in kinds_by_length(run, tasks).values()), Counter())


def _draw_kinds(figure: Figure, kinds: Sequence[str]) -> None:
    handles = [Rectangle((0, 0), 1, 1, color=KIND_COLORS[ALL_KINDS.index(kind)]) for kind in kinds]
    if handles:
        look = {"frameon": False, "fontsize": 8, "labelcolor": MUTED, "handlelength": 0.9, "handleheight": 0.9}
        place = {"loc": "lower left", "bbox_to_anchor": (0.1 / WIDTH, 0.08 / figure.get_size_inches()[1])}
        figure.legend(handles, kinds, ncols=len(kinds) if len(kinds) <= 6 else 5, columnspacing=1.4, **place, **look)


def save_errors(runs: Sequence[Run], folder: Path, wording: Wording) -> list[Path]:
    """Write ``errors.png`` and ``.svg``; nothing where no run gives traces."""
    with matplotlib.rc_context(STYLE):
        figure = error_figure(runs, wording)
        return save_figure(figure, folder / "errors") if figure else []


def bars_svg(run: Run, tasks: Sequence[str], unit: str, label: str) -> str:
    """The bars of one run as inline SVG with tooltips."""
    draw = partial(draw_bars, by_length=kinds_by_length(run, tasks))
    colors = {color: f"kind-{index}" for index, color in enumerate(KIND_COLORS)}
    return plot_svg(draw, *LOW_PLOT, unit, label, colors)


def loop_errors_svg(runs: Sequence[Run], tasks: Sequence[str], unit: str, label: str) -> str | None:
    """The relative errors of the loop counts as inline SVG; None where none is known."""
    errors = {index: found for index, run in enumerate(runs) if (found := loop_errors(run, tasks))}
    if not errors:
        return None
    return plot_svg(partial(draw_loop_errors, errors=errors), *LOW_PLOT, unit, label)
