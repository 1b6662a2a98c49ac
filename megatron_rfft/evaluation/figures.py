"""Accuracy against length: the figure at the top of the README, and its panels for the report."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from megatron_rfft.common.files import atomic_write
from megatron_rfft.evaluation.metrics import ACCURACY_TARGET

# Okabe and Ito's palette, distinct for every kind of colour vision, the pale yellow left out.
RUN_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
RUN_MARKERS = ("o", "s", "^", "D", "v", "P")
RUN_LINES = ("-", (0, (4, 2)), (0, (1, 1.5)))  # for the first six runs, the next six, ...
INK, MUTED, GRID, SHADE, PAPER = "#1c2127", "#68717d", "#e4e7eb", "#edf0f4", "#ffffff"
LEGEND_COLUMNS = 3
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # same numbers, same bytes
PIXELS_PER_INCH = 200  # twice the screen's 100

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
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "ytick.left": False,
    "xtick.major.size": 3,
    "svg.fonttype": "none",  # text stays text: the page's own font, selectable
    "svg.hashsalt": "megatron_rfft",  # same numbers, same bytes
}


@dataclass(frozen=True)
class Run:
    """One evaluation in a comparison: the name that it goes by, and its results."""

    name: str
    results: Mapping[str, Any]

    def cells(self, task: str) -> dict[int, Mapping[str, Any]]:
        """Cells of ``task`` by length, ascending; none if this run did not measure it."""
        cells = self.results["tasks"].get(task, {}).get("cells", {})
        return {int(length): cells[length] for length in sorted(cells, key=int)}

    def trained_lengths(self, task: str) -> list[int]:
        """Lengths of ``task`` that the model was trained on."""
        return self.results["tasks"].get(task, {}).get("trained_lengths", [])


def run_color(index: int) -> str:
    """The colour of run number ``index``; from the seventh on they come again, with other lines and markers."""
    return RUN_COLORS[index % len(RUN_COLORS)]


def run_marker(index: int) -> str:
    return RUN_MARKERS[(index + index // len(RUN_COLORS)) % len(RUN_MARKERS)]


def task_names(runs: Sequence[Run]) -> list[str]:
    """Every task that any run measured, in the order of the first run that names it."""
    return list(dict.fromkeys(task for run in runs for task in run.results["tasks"]))


def trained_spans(trained: Sequence[int], measured: Sequence[int]) -> list[tuple[int, int]]:
    """Inclusive spans of trained lengths; a gap parts two of them only if an untrained length in it was measured."""
    spans: list[tuple[int, int]] = []
    for length in sorted(trained):
        if spans and not any(spans[-1][1] < m < length for m in measured):
            spans[-1] = (spans[-1][0], length)
        else:
            spans.append((length, length))
    return spans


def draw_panel(axes: Axes, task: str, runs: Sequence[Run]) -> None:
    """Draw every run's accuracy on ``task`` with its 95 % band, the trained lengths shaded, the 90 % line dashed."""
    measured = sorted({length for run in runs for length in run.cells(task)})
    margin = max(0.6, 0.02 * (measured[-1] - measured[0]))
    axes.set_xlim(measured[0] - margin, measured[-1] + margin)
    axes.set_ylim(-4, 104)
    _show_trained(axes, task, runs, measured)
    target = 100 * ACCURACY_TARGET
    axes.axhline(target, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1.5)
    axes.annotate(f"{target:.0f} %", (1, target), (4, 0), **RIGHT_OF_AXES)
    for index, run in reversed(list(enumerate(runs))):  # the first run, drawn last, lies on top
        if cells := run.cells(task):
            _draw_curve(axes, cells, index)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_curve(axes: Axes, cells: Mapping[int, Mapping[str, Any]], index: int) -> None:
    color, marker = run_color(index), run_marker(index)
    lengths = list(cells)
    low, high = zip(*(cell["interval"] for cell in cells.values()), strict=True)
    low, high = [100 * value for value in low], [100 * value for value in high]
    axes.fill_between(lengths, low, high, color=color, alpha=0.15, linewidth=0)
    if len(lengths) == 1:  # a band of no width
        axes.vlines(lengths, low, high, color=color, alpha=0.4, linewidth=2)
    axes.plot(
        lengths,
        [100 * cell["accuracy"] for cell in cells.values()],
        color=color,
        linewidth=2 + 1.4 * min(index, 2),  # a curve that lies under another one still shows
        linestyle=RUN_LINES[index // len(RUN_COLORS) % len(RUN_LINES)],
        marker=marker,
        markersize=5,
        markeredgecolor=PAPER,
        markeredgewidth=0.8,
        solid_joinstyle="round",
        clip_on=False,
        zorder=3,
    )


def _show_trained(axes: Axes, task: str, runs: Sequence[Run], measured: Sequence[int]) -> None:
    """One shade where all runs share their trained lengths; else a bar per run, in its colour, above the panel."""
    trained = {index: run.trained_lengths(task) for index, run in enumerate(runs) if run.trained_lengths(task)}
    if len({tuple(lengths) for lengths in trained.values()}) == 1:
        _shade_trained(axes, next(iter(trained.values())), measured)
    elif trained:
        _bar_trained(axes, trained, measured)


def _shade_trained(axes: Axes, trained: Sequence[int], measured: Sequence[int]) -> None:
    right = axes.get_xlim()[1]
    spans = _visible_spans(axes, trained, measured)
    for start, end in spans:
        axes.axvspan(start, end, color=SHADE, linewidth=0, zorder=0)
    if spans:
        axes.annotate(f"trained {format_lengths(trained)}", (spans[0][0], 1), (0, 4), **ABOVE_AXES)
    if trained[-1] < measured[-1]:
        axes.annotate("longer than trained →", (right, 1), (0, 4), ha="right", **ABOVE_AXES)


def _bar_trained(axes: Axes, trained: Mapping[int, Sequence[int]], measured: Sequence[int]) -> None:
    above = axes.get_xaxis_transform()  # x in lengths, y as a share of the panel's height
    for row, (index, lengths) in enumerate(trained.items()):
        look = {"color": run_color(index), "linewidth": 3, "solid_capstyle": "butt", "clip_on": False}
        for span in _visible_spans(axes, lengths, measured):
            axes.plot(span, [1.03 + 0.03 * row] * 2, transform=above, **look)
    axes.annotate("bars: trained lengths", (axes.get_xlim()[1], 1), (0, 4), ha="right", **ABOVE_AXES)


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


def draw_figure(runs: Sequence[Run], tasks: Sequence[str], title: str) -> Figure:
    """All tasks as small multiples under one title and one legend."""
    columns = min(len(tasks), 3 if len(tasks) != 4 else 2)
    rows = -(-len(tasks) // columns)
    # All in inches: what lies around the panels, between them, and their own height.
    width, left, right, bottom, gap = 10.0, 0.62, 0.5, 0.95, 0.88
    top = 1.38 + 0.25 * ((len(runs) - 1) // LEGEND_COLUMNS)
    panel = {1: 2.9, 2: 2.35}.get(columns, 1.9)
    height = top + rows * panel + (rows - 1) * gap + bottom
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        top=1 - top / height,
        bottom=bottom / height,
        wspace=0.22,
        hspace=gap / panel,
    )
    for position, axes in enumerate(grid.flat):
        if position >= len(tasks):
            axes.remove()
            continue
        draw_panel(axes, tasks[position], runs)
        axes.set_title(tasks[position], loc="left", fontsize=11, fontweight="bold", pad=18)
        axes.tick_params(labelleft=position % columns == 0)
        if position + columns >= len(tasks):
            axes.set_xlabel("length")
    x = 0.2 / width
    figure.text(x, 1 - 0.2 / height, title, fontsize=15, fontweight="bold", va="top")
    _draw_legend(figure, runs, (x, 1 - 0.58 / height))
    figure.text(x, 0.18 / height, caption(runs), color=MUTED, fontsize=8, va="bottom")
    return figure


def caption(runs: Sequence[Run]) -> str:
    """How many questions stand behind a point, and what the bands are."""
    sizes = sorted({cell["n"] for run in runs for task in run.results["tasks"] for cell in run.cells(task).values()})
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"{count} fresh questions per point, greedy decoding. Bands: 95 % Wilson intervals."


def _draw_legend(figure: Figure, runs: Sequence[Run], corner: tuple[float, float]) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=run_color(index),
            marker=run_marker(index),
            linestyle=RUN_LINES[index // len(RUN_COLORS) % len(RUN_LINES)],
            linewidth=2,
            markersize=6,
            markeredgecolor=PAPER,
            label=run.name,
        )
        for index, run in enumerate(runs)
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=corner,
        ncols=min(len(handles), LEGEND_COLUMNS),
        frameon=False,
        fontsize=10.5,
        labelcolor="linecolor",
        borderpad=0,
        borderaxespad=0,
        handlelength=2.2,
        columnspacing=2.0,
    )


def save_figures(runs: Sequence[Run], folder: Path, title: str) -> list[Path]:
    """Write ``accuracy.png`` and ``.svg`` with all tasks, and ``accuracy_TASK.png`` for each; return the paths."""
    tasks = task_names(runs)
    paths = []
    with matplotlib.rc_context(STYLE):
        for name, shown in [("accuracy.png", tasks), *((f"accuracy_{task}.png", [task]) for task in tasks)]:
            figure = draw_figure(runs, shown, title)
            paths.append(folder / name)
            with atomic_write(paths[-1], "wb") as handle:
                figure.savefig(handle, format="png", dpi=PIXELS_PER_INCH)
            if shown is tasks:
                paths.append(folder / "accuracy.svg")
                with atomic_write(paths[-1], "wb") as handle:
                    figure.savefig(handle, format="svg", metadata=NO_METADATA)
    return paths


def panel_svg(task: str, runs: Sequence[Run]) -> str:
    """One task's panel as inline SVG in the page's colours and font: CSS variables (``--ink``, ``--run-0``, ...)."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.9, 2.45))
        axes = figure.add_axes((0.125, 0.18, 0.775, 0.71))
        draw_panel(axes, task, runs)
        axes.set_xlabel("length")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would style the whole page
    svg = re.sub(r'<g id="\w+">', "<g>", svg)  # names that every panel repeats
    described = f'role="img" aria-label="Accuracy on {task} by length"'
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', described, svg, count=1)  # the page sets the size
    variables = {INK: "ink", MUTED: "muted", GRID: "grid", SHADE: "shade", PAPER: "paper"}
    variables |= {color: f"run-{index}" for index, color in enumerate(RUN_COLORS)}
    for color, name in variables.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg.replace("'DejaVu Sans'", "var(--font)")
