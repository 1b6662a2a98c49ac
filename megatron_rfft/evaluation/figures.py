"""Accuracy against length: the figure at the top of the README, and its panels for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from megatron_rfft.evaluation.metrics import ACCURACY_TARGET
from megatron_rfft.evaluation.runs import Run, mean_cells, task_names
from megatron_rfft.pages.style import (
    MUTED,
    SHADE,
    STYLE,
    WIDTH,
    Head,
    draw_seed,
    fit_title,
    length_ticks,
    panel_grid,
    percent_axis,
    plot_svg,
    run_color,
    run_look,
    save_figure,
)

MEAN_ON_TOP = 4  # from so many tasks on their mean has a wide panel of its own above them
RIGHT_OF_AXES = {
    "xycoords": ("axes fraction", "data"),
    "textcoords": "offset points",
    "va": "center",
    "color": MUTED,
    "fontsize": 8,
}
ABOVE_AXES = {
    "xycoords": ("data", "axes fraction"),
    "textcoords": "offset points",
    "color": MUTED,
    "fontsize": 8,
}


@dataclass(frozen=True)
class Wording:
    """What a report says in plain words, for readers who do not know the names in its files."""

    title: str = "Accuracy against length"
    subtitle: str = ""
    unit: str = "length"
    """What the lengths count, as the x axis says it."""
    tasks: Mapping[str, str] = field(default_factory=dict)
    """Titles of tasks."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What a run is, for the legend."""

    def task(self, name: str) -> str:
        return self.tasks.get(name, name)

    def legend(self, runs: Sequence[Run]) -> list[tuple[int, str, str]]:
        """(number, name, what it is) of each run."""
        return [(index, run.name, self.about.get(run.name, "")) for index, run in enumerate(runs)]


@dataclass(frozen=True)
class Panel:
    """One plot: by run's number its cells by length, and the lengths that it was trained on."""

    title: str
    curves: Mapping[int, Mapping[int, Mapping[str, Any]]]
    trained: Mapping[int, Sequence[int]]


def task_panel(task: str, runs: Sequence[Run], title: str) -> Panel:
    curves = {index: run.cells(task) for index, run in enumerate(runs) if run.cells(task)}
    return Panel(title, curves, {index: runs[index].trained_lengths(task) for index in curves})


def mean_panel(runs: Sequence[Run]) -> Panel | None:
    """The mean over all tasks, of the runs that measured them all; None where there are not two tasks, or none did."""
    tasks = task_names(runs)
    curves = {index: cells for index, run in enumerate(runs) if (cells := mean_cells(run, tasks))}
    if len(tasks) < 2 or not curves:
        return None
    trained = {}
    for index in curves:
        lengths = {tuple(runs[index].trained_lengths(task)) for task in tasks}
        trained[index] = list(lengths.pop()) if len(lengths) == 1 else []
    return Panel(f"mean of the {len(tasks)} tasks", curves, trained)


def draw_panel(axes: Axes, panel: Panel, told: bool = True) -> None:
    """Draw each run's accuracy with its 95 % band, the 90 % line dashed, trained lengths shaded (``told`` in words)."""
    measured = sorted({length for cells in panel.curves.values() for length in cells})
    margin = max(0.6, 0.02 * (measured[-1] - measured[0]))
    axes.set_xlim(measured[0] - margin, measured[-1] + margin)
    percent_axis(axes)
    _show_trained(axes, panel, measured, told)
    target = 100 * ACCURACY_TARGET
    axes.axhline(target, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1.5)
    axes.annotate(f"{target:.0f} %", (1, target), (4, 0), **RIGHT_OF_AXES)
    for index, cells in reversed(panel.curves.items()):  # the first run, drawn last, lies on top
        draw_line(axes, index, list(cells), list(cells.values()))
    length_ticks(axes, measured)


def draw_line(axes: Axes, index: int, xs: Sequence[float], cells: Sequence[Mapping[str, Any]]) -> None:
    """One run's accuracies in percent at ``xs``: the mean with its 95 % band, and a thin line for each seed."""
    color = run_color(index)
    low, high = zip(*(cell["interval"] for cell in cells), strict=True)
    low, high = [100 * value for value in low], [100 * value for value in high]
    axes.fill_between(xs, low, high, color=color, alpha=0.13, linewidth=0)
    if len(xs) == 1:  # a band of no width
        axes.vlines(xs, low, high, color=color, alpha=0.4, linewidth=2)
    for seed in dict.fromkeys(seed for cell in cells for seed in cell.get("by_seed", ())):
        pairs = [
            (x, 100 * cell["by_seed"][seed])
            for x, cell in zip(xs, cells, strict=True)
            if seed in cell.get("by_seed", ())
        ]
        draw_seed(axes, index, *zip(*pairs, strict=True))
    axes.plot(xs, [100 * cell["accuracy"] for cell in cells], **run_look(index))


def _show_trained(axes: Axes, panel: Panel, measured: Sequence[int], told: bool) -> None:
    """One shade where all runs share their trained lengths; else a bar per run, in its colour, above the panel."""
    trained = {index: lengths for index, lengths in panel.trained.items() if lengths}
    if len({tuple(lengths) for lengths in trained.values()}) == 1:
        _shade_trained(axes, next(iter(trained.values())), measured, told)
    elif trained:
        _bar_trained(axes, trained, measured, told)


def _shade_trained(axes: Axes, trained: Sequence[int], measured: Sequence[int], told: bool) -> None:
    right = axes.get_xlim()[1]
    spans = _visible_spans(axes, trained, measured)
    for start, end in spans:
        axes.axvspan(start, end, color=SHADE, linewidth=0, zorder=0)
    if not told:
        return
    if spans:
        axes.annotate(f"trained on {format_lengths(trained)}", (spans[0][0], 1), (0, 4), **ABOVE_AXES)
    if trained[-1] < measured[-1]:
        axes.annotate("longer than trained →", (right, 1), (0, 4), ha="right", **ABOVE_AXES)


def _bar_trained(axes: Axes, trained: Mapping[int, Sequence[int]], measured: Sequence[int], told: bool) -> None:
    above = axes.get_xaxis_transform()  # x in lengths, y as a share of the panel's height
    for row, (index, lengths) in enumerate(trained.items()):
        look = {"color": run_color(index), "linewidth": 3, "solid_capstyle": "butt", "clip_on": False}
        for span in _visible_spans(axes, lengths, measured):
            axes.plot(span, [1.03 + 0.03 * row] * 2, transform=above, **look)
    if told:
        axes.annotate("bars: trained lengths", (axes.get_xlim()[1], 1), (0, 4), ha="right", **ABOVE_AXES)


def trained_spans(trained: Sequence[int], measured: Sequence[int]) -> list[tuple[int, int]]:
    """Inclusive spans of trained lengths; a gap parts two of them only if an untrained length in it was measured."""
    spans: list[tuple[int, int]] = []
    for length in sorted(trained):
        if spans and not any(spans[-1][1] < m < length for m in measured):
            spans[-1] = (spans[-1][0], length)
        else:
            spans.append((length, length))
    return spans


def _visible_spans(axes: Axes, trained: Sequence[int], measured: Sequence[int]) -> list[tuple[float, float]]:
    """Trained spans as intervals of the axis, half a length wider on each side, as far as they can be seen."""
    left, right = axes.get_xlim()
    spans = [
        (left if first <= measured[0] else first - 0.5, min(right, last + 0.5))
        for first, last in trained_spans(trained, measured)
    ]
    return [(start, end) for start, end in spans if left <= start < end]


def format_lengths(lengths: Sequence[int]) -> str:
    """Ascending lengths in short: ``1-10`` where they are consecutive, ``2-30:2`` with a step, else a list."""
    steps = {b - a for a, b in pairwise(lengths)}
    if len(steps) != 1 or len(lengths) < 3:
        return ",".join(map(str, lengths))
    step = steps.pop()
    return f"{lengths[0]}–{lengths[-1]}" + (f":{step}" if step > 1 else "")


def draw_figure(runs: Sequence[Run], panels: Sequence[Panel], wording: Wording, top: Panel | None = None) -> Figure:
    """The panels as small multiples under one title and one legend; ``top`` is a wide one above them."""
    columns = min(len(panels), 3 if len(panels) != 4 else 2)
    tall = {1: 2.9, 2: 2.35}.get(columns, 1.9)
    parts = [panels[first : first + columns] for first in range(0, len(panels), columns)]
    rows = [*([(2.9, 0)] if top else []), *((tall, len(part)) for part in parts)]
    head = Head(wording.title, wording.subtitle, wording.legend(runs))
    figure, axes = panel_grid(head, rows, columns, below_head=0.1, right=0.5, gap=0.9, bottom=0.95, apart=0.22)
    shown = [*([[top]] if top else []), *parts]
    for row, (part, of_row) in enumerate(zip(shown, axes, strict=True)):
        for column, (panel, own) in enumerate(zip(part, of_row, strict=True)):
            draw_panel(own, panel)
            fit_title(own, panel.title, pad=18)
            own.tick_params(labelleft=column == 0)
            below = shown[row + 1] if row + 1 < len(shown) else []
            if panel is top or column >= len(below):
                own.set_xlabel(wording.unit)
    figure.text(0.2 / WIDTH, 0.18 / figure.get_size_inches()[1], caption(runs), color=MUTED, fontsize=8, va="bottom")
    return figure


def caption(runs: Sequence[Run]) -> str:
    """How many questions stand behind a point, and what the lines and bands are."""
    cells = [cell for run in runs for task in run.results["tasks"] for cell in run.cells(task).values()]
    sizes = sorted({cell.get("questions", cell["n"]) for cell in cells})
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    asked = f"{count} fresh questions per point, greedy decoding."
    seeds = sorted({len(run.seeds) or 1 for run in runs})
    if seeds == [1]:
        return f"{asked} Bands: 95 % Wilson intervals."
    number = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{asked} Mean of {number} seeds (each one's line thin), which answer the same questions. "
        "Bands: 95 % intervals over seeds and questions."
    )


def save_figures(runs: Sequence[Run], folder: Path, wording: Wording) -> list[Path]:
    """Write ``accuracy.png`` and ``.svg`` with all tasks, and ``accuracy_TASK.png`` for each; return the paths."""
    panels = {task: task_panel(task, runs, wording.task(task)) for task in task_names(runs)}
    shown, mean = list(panels.values()), mean_panel(runs)
    on_top = mean if len(panels) >= MEAN_ON_TOP else None
    if mean and not on_top:
        shown.append(mean)
    with matplotlib.rc_context(STYLE):
        paths = save_figure(draw_figure(runs, shown, wording, on_top), folder / "accuracy")
        for task, panel in panels.items():
            paths += save_figure(draw_figure(runs, [panel], wording), folder / f"accuracy_{task}", ["png"])
    return paths


def panel_svg(panel: Panel, unit: str, small: bool = False) -> str:
    """A panel as inline SVG in the page's colours and font; a ``small`` one has no words about trained lengths."""
    draw = partial(draw_panel, panel=panel, told=not small)
    label = f"Accuracy by length: {panel.title}"
    if small:
        return plot_svg(draw, 1.75, (0.2, 0.25, 0.68, 0.68), unit, label, width=2.5)
    return plot_svg(draw, 2.45, (0.125, 0.18, 0.775, 0.71), unit, label)
