"""Accuracy beyond the trained lengths against something that was varied: rules seen in RF-pretraining, steps, ..."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write
from megatron_rfft.evaluation.figures import draw_line
from megatron_rfft.evaluation.runs import Run, average, parse_runs, require_comparable, untrained_lengths
from megatron_rfft.pages.style import (
    MUTED,
    STYLE,
    WIDTH,
    Head,
    panel_grid,
    percent_axis,
    plot_svg,
    save_figure,
)

PANELS_IN_A_ROW = 2


@dataclass(frozen=True)
class Line:
    """One line of a curve: its name, and a run for each value in the order of the x axis."""

    name: str
    points: dict[str, Run]


@dataclass(frozen=True)
class Curve:
    """A plot against the values of what ``title`` names.

    Raises UserError where its runs do not compare, or were not asked beyond the lengths they were trained on.
    """

    title: str
    lines: list[Line]

    def __post_init__(self):
        runs = [Run(f"{line.name} at {value}", run.results) for line, value, run in self._points()]
        require_comparable(runs)
        tasks = {tuple(sorted(run.results["tasks"])) for run in runs}
        if len(tasks) > 1:
            lists = sorted(", ".join(names) for names in tasks)
            raise UserError(f"the points of {self.title!r} are on other tasks ({' / '.join(lists)}); give all the same")
        if not self.lengths:
            raise UserError(f"no run of {self.title!r} was asked beyond its trained lengths; nothing to show")

    def _points(self) -> list[tuple[Line, str, Run]]:
        return [(line, value, run) for line in self.lines for value, run in line.points.items()]

    @property
    def values(self) -> list[str]:
        """The x axis: values of all lines, in the order given."""
        return list(dict.fromkeys(value for _, value, _ in self._points()))

    @property
    def lengths(self) -> dict[str, list[int]]:
        """By task the lengths that accuracy is averaged over: beyond those that any run here was trained on."""
        return untrained_lengths([run for _, _, run in self._points()])

    @property
    def subtitle(self) -> str:
        """What the accuracy is the mean of."""
        spans = {f"lengths {lengths[0]} to {lengths[-1]}" for lengths in self.lengths.values()}
        where = spans.pop() if len(spans) == 1 else "all untrained lengths"
        return where + (f", mean of {len(self.lengths)} tasks" if len(self.lengths) > 1 else "")

    def measured(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By line and value: ``accuracy``, ``interval``, ``n``, ``questions`` and, with seeds, ``by_seed``."""
        lengths = self.lengths
        return {line.name: {value: average(run, lengths) for value, run in line.points.items()} for line in self.lines}


def parse_curves(groups: Sequence[Sequence[str]]) -> list[Curve]:
    """Curves of groups TITLE NAME VALUE[@SEED]=DIR[,DIR...] ...; groups of one TITLE are lines of one curve."""
    lines: dict[str, list[Line]] = {}
    for group in groups:
        if len(group) < 3:
            raise UserError(
                f"--curve {' '.join(map(repr, group))} wants a title, a line's name and VALUE=DIR for each point"
            )
        title, name, *points = group
        if any(line.name == name for line in lines.get(title, ())):
            raise UserError(f"--curve {title!r} has two lines {name!r}; name each differently")
        line = Line(name, {run.name: run for run in parse_runs(f"--curve {title!r}", points)})
        lines.setdefault(title, []).append(line)
    return [Curve(title, of_title) for title, of_title in lines.items()]


def line_number(name: str, curves: Sequence[Curve], runs: Sequence[Run]) -> int:
    """The number that decides a line's colour: the run's of the same name, else one after all runs."""
    names = [run.name for run in runs] + [line.name for curve in curves for line in curve.lines]
    return list(dict.fromkeys(names)).index(name)


def draw_curve(axes: Axes, curve: Curve, numbers: dict[str, int]) -> None:
    """Each line's accuracy at each value, evenly spaced; bands and thin lines as in the plots by length."""
    values = curve.values
    for name, points in reversed(curve.measured().items()):
        draw_line(axes, numbers[name], [values.index(value) for value in points], list(points.values()))
    percent_axis(axes)
    axes.set_xlim(-0.25, max(len(values) - 0.75, 0.25))
    axes.set_xticks(range(len(values)), values)
    axes.set_xlabel(curve.title)


def curves_figure(curves: Sequence[Curve], runs: Sequence[Run]) -> Figure:
    """All curves side by side, the lines' names above."""
    numbers = {line.name: line_number(line.name, curves, runs) for curve in curves for line in curve.lines}
    entries = [(number, name, "") for name, number in numbers.items()]
    columns = PANELS_IN_A_ROW
    rows = [(2.4, min(columns, len(curves) - first)) for first in range(0, len(curves), columns)]
    head = Head("Accuracy beyond the trained lengths", "", entries)
    figure, grid = panel_grid(head, rows, columns, right=0.3, gap=1.0, bottom=0.85, apart=0.22)
    for curve, axes in zip(curves, chain.from_iterable(grid), strict=True):
        draw_curve(axes, curve, numbers)
        axes.set_title(curve.subtitle, loc="left", fontsize=9, color=MUTED)
    note = "Points are evenly spaced. Bands: 95 % intervals over seeds and questions; thin: each seed."
    figure.text(0.2 / WIDTH, 0.16 / figure.get_size_inches()[1], note, color=MUTED, fontsize=8, va="bottom")
    return figure


def save_curves(curves: Sequence[Curve], runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write ``curves.png``, ``.svg`` and ``curves.csv``; nothing without curves."""
    if not curves:
        return []
    with matplotlib.rc_context(STYLE):
        paths = save_figure(curves_figure(curves, runs), folder / "curves")
    with atomic_write(folder / "curves.csv") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["curve", "line", "value", "seed", "questions", "accuracy", "low_95", "high_95"])
        for curve in curves:
            for name, points in curve.measured().items():
                for value, cell in points.items():
                    row = [curve.title, name, value]
                    mean = "mean" if "by_seed" in cell else ""
                    writer.writerow([*row, mean, cell["questions"], cell["accuracy"], *cell["interval"]])
                    for seed, accuracy in cell.get("by_seed", {}).items():
                        writer.writerow([*row, seed, cell["questions"], accuracy, "", ""])
    return [*paths, folder / "curves.csv"]


def curve_svg(curve: Curve, numbers: dict[str, int]) -> str:
    """A curve as inline SVG."""
    draw = partial(draw_curve, curve=curve, numbers=numbers)
    label = f"Accuracy beyond the trained lengths against {curve.title}"
    return plot_svg(draw, 2.45, (0.125, 0.18, 0.84, 0.78), curve.title, label)
