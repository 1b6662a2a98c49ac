"""The plots of a training page: curves over steps, where a step's seconds went, steps over wall time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from megatron_rfft.pages.style import GRID, KIND_COLORS, SHADE, plot_svg, run_color
from megatron_rfft.training.goodput import AGAIN, CHECKPOINT, DATA, IN_STEPS, OTHER, RESTART, TRAIN, VALIDATION
from megatron_rfft.training.history import History
from megatron_rfft.training.timeline import Event

MOST_POINTS = 400
"""Points of a curve; more are put together."""
MOST_STACKS = 60
LOG_FROM = 30.0
"""From this ratio of the largest to the least value on, the axis of a curve that may be logarithmic is."""
KIND_OF_PART = {TRAIN: 4, DATA: 5, CHECKPOINT: 0, VALIDATION: 1, OTHER: 6, RESTART: 3, AGAIN: 2}
"""The colour of what wall time goes to, by its number in KIND_COLORS."""
_PLACE = (0.15, 0.18, 0.8, 0.78)
_WIDE = (9.6, 2.6, (0.065, 0.18, 0.91, 0.74))
_TICK_STEPS = (1, 2, 5, 10)
_UNITS = ((7200, "minutes", 60), (172800, "hours", 3600), (float("inf"), "days", 86400))
Curve = tuple[Sequence[float], Sequence[float | None]]
"""Steps, and a value at each; None where it is not a number."""


@dataclass(frozen=True)
class Panel:
    """A number of training runs over their steps."""

    title: str
    curve: Callable[[History], Curve]
    """Empty where the run did not log it."""
    missing: Callable[[History], str]
    """Why it did not."""
    log: bool = False
    pale: Callable[[History], Curve] | None = None
    """What is drawn thin behind the curve."""
    suffix: str = ""


def _of_lines(key: str, factor: float = 1.0, positive: bool = False) -> Callable[[History], Curve]:
    """A key of ``metrics.jsonl``; with ``positive``, 0 says that it was not measured."""

    def curve(history: History) -> Curve:
        rows = [row for row in history.metrics if key in row]
        values = [None if row[key] is None else factor * row[key] for row in rows]
        if not any(value is not None and (value or not positive) for value in values):
            return [], []
        return [row["step"] for row in rows], values

    return curve


def _mean_loss(history: History) -> Curve:
    steps = [row["step"] for row in history.metrics]
    return steps, [history.means.get(row["step"], row["loss"]) for row in history.metrics]


def _validation(history: History) -> Curve:
    return [row["step"] for row in history.validation], [row["loss"] for row in history.validation]


def _no_validation(history: History) -> str:
    section = history.config.get("validation", {})
    if not section.get("data"):
        return "no validation data (validation.data)"
    return f"no validation yet (one every {section.get('interval')} steps)"


def _slowest(history: History) -> Curve:
    return [row["step"] for row in history.ranks], [row["ratio"] for row in history.ranks]


def _because(text: str) -> Callable[[History], str]:
    return lambda history: text if history.metrics else "no line is on record yet"


_OLDER = _because("written by a version that did not measure it")
PANELS = (
    Panel("loss", _mean_loss, _OLDER, log=True, pale=_of_lines("loss")),
    Panel("validation loss", _validation, _no_validation, log=True),
    Panel("learning rate", _of_lines("lr"), _OLDER),
    Panel("gradient norm", _of_lines("grad_norm"), _OLDER, log=True),
    Panel("tokens per second", _of_lines("tokens_per_second"), _OLDER),
    Panel(
        "MFU",
        _of_lines("mfu", 100),
        _because("the peak of its device is not known (logging.peak_tflops)"),
        suffix=" %",
    ),
    Panel("GPU memory, GiB", _of_lines("memory_gib", positive=True), _because("no GPU")),
    Panel("slowest rank / median", _slowest, _because("one rank, or not measured")),
)


def panel_svg(panel: Panel, histories: Sequence[History]) -> str:
    """The curve of each run as inline SVG; empty where no run logged it."""
    curves = {index: curve for index, history in enumerate(histories) if (curve := panel.curve(history))[0]}
    pale = {index: panel.pale(histories[index]) for index in curves} if panel.pale else {}
    if not curves:
        return ""
    draw = partial(_draw_curves, panel=panel, curves=curves, pale=pale)
    return plot_svg(draw, 2.3, _PLACE, "step", f"{panel.title} by step")


def _draw_curves(axes: Axes, panel: Panel, curves: Mapping[int, Curve], pale: Mapping[int, Curve]) -> None:
    lowest, highest = np.inf, 0.0
    for index, curve in pale.items():
        steps, values, _, _ = _thinned(curve)
        axes.plot(steps, values, color=run_color(index), linewidth=0.7, alpha=0.35)
    for index, curve in reversed(curves.items()):
        steps, values, low, high = _thinned(curve)
        if not len(steps):
            continue
        color = run_color(index)
        axes.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
        dot = {"marker": "o", "markersize": 3.5} if len(steps) < 12 else {}
        axes.plot(steps, values, color=color, linewidth=1.6, solid_joinstyle="round", **dot)
        lowest, highest = min(lowest, low.min()), max(highest, high.max())
    axes.set_xlim(left=0)
    if panel.log and lowest > 0 and highest / lowest >= LOG_FROM:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=_TICK_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value) + panel.suffix))
    _finish_axes(axes)


def _finish_axes(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=_TICK_STEPS))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def short_number(value: float) -> str:
    """In few signs: 12.2k, 0.00095, 3."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _thinned(curve: Curve) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Steps, means, least and largest values of MOST_POINTS stretches; what is not a number is left out."""
    pairs = np.array([(x, y) for x, y in zip(*curve, strict=True) if y is not None], dtype=float).reshape(-1, 2)
    parts = np.array_split(pairs, min(len(pairs), MOST_POINTS)) if len(pairs) else []
    columns = [(part[-1, 0], part[:, 1].mean(), part[:, 1].min(), part[:, 1].max()) for part in parts]
    return tuple(np.array(columns, dtype=float).reshape(-1, 4).T)


def seconds_svg(history: History) -> str:
    """Where the seconds of a step went, over steps, stacked; empty where the run did not log it."""
    rows = [row for row in history.metrics if "wall" in row]
    if not rows:
        return ""
    parts = [rows[at : at + -(-len(rows) // MOST_STACKS)] for at in range(0, len(rows), -(-len(rows) // MOST_STACKS))]
    edges = [0, *(part[-1]["step"] for part in parts)]
    heights = {
        name: [sum(row[f"{name}_seconds"] for row in part) / sum(row["steps"] for row in part) for part in parts]
        for name in IN_STEPS
    }
    colors = {KIND_COLORS[kind]: f"kind-{kind}" for kind in KIND_OF_PART.values()}
    draw = partial(_draw_seconds, edges=edges, heights=heights)
    return plot_svg(draw, *_WIDE[1:], "step", "Seconds of a step by what they went to", colors, _WIDE[0])


def _draw_seconds(axes: Axes, edges: Sequence[int], heights: Mapping[str, Sequence[float]]) -> None:
    bottom = np.zeros(len(edges) - 1)
    for name, values in heights.items():
        top = bottom + values
        axes.stairs(top, edges, baseline=bottom, fill=True, color=KIND_COLORS[KIND_OF_PART[name]], linewidth=0)
        bottom = top
    axes.set_xlim(0, edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_TICK_STEPS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{short_number(value)} s"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    _finish_axes(axes)


def time_svg(histories: Sequence[History], events: Sequence[Sequence[Event]]) -> str:
    """Steps over the wall time of each run, with its pauses and ``events``; empty where no run tells the time."""
    starts = {index: found for index, history in enumerate(histories) if (found := history.starts())}
    if not starts:
        return ""
    longest = max(found[-1].rows[-1]["time"] - found[0].began for found in starts.values())
    _, unit, size = next(each for each in _UNITS if longest < each[0])
    draw = partial(_draw_time, starts=starts, events=events, size=size)
    label = "Steps by wall time since the first step"
    return plot_svg(draw, *_WIDE[1:], f"{unit} since the first step", label, width=_WIDE[0])


def _draw_time(axes: Axes, starts: Mapping, events: Sequence[Sequence[Event]], size: int) -> None:
    for index, found in starts.items():
        zero, color, before = found[0].began, run_color(index), None
        for start in found:
            xs = [(start.began - zero) / size, *((row["time"] - zero) / size for row in start.rows)]
            ys = [start.rows[0]["step"] - start.rows[0]["steps"], *(row["step"] for row in start.rows)]
            if before and len(starts) == 1:
                axes.axvspan(before[0], xs[0], color=SHADE, linewidth=0)
            if before:
                axes.plot([before[0], xs[0]], [before[1], ys[0]], color=color, linewidth=1, dashes=(1, 2))
            axes.plot(xs, ys, color=color, linewidth=1.8)
            before = xs[-1], ys[-1]
        for event in events[index]:
            if event.time is not None and event.step is not None:
                look = {"marker": "X" if event.trouble else "o", "markersize": 7, "color": color, "zorder": 4}
                (mark,) = axes.plot([(event.time - zero) / size], [event.step], clip_on=False, **look)
                mark.set_gid(f"bar: {event.text}")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=_TICK_STEPS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    _finish_axes(axes)
