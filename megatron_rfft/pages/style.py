"""How every figure looks; files of equal bytes for equal numbers; SVG for a page."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter

from megatron_rfft.common.files import atomic_write

# Okabe and Ito's palette, distinct for every kind of colour vision, the pale yellow left out.
RUN_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
RUN_MARKERS = ("o", "s", "^", "D", "v", "P")
RUN_LINES = ("-", (0, (4, 2)), (0, (1, 1.5)))  # for the first six runs, the next six, ...
# Of what has many kinds, as ``--kind-0`` and so on in base.html have them on light paper.
KIND_COLORS = (
    "#0b5f9e",
    "#6db5e8",
    "#c66a9c",
    "#d55e00",
    "#009e73",
    "#e3a81b",
    "#8b949e",
    "#cfd4da",
    "#1c2128",
    "#7a5fb0",
)
INK, MUTED, GRID, SHADE, PAPER = "#1c2127", "#68717d", "#e4e7eb", "#edf0f4", "#ffffff"
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # same numbers, same bytes
PIXELS_PER_INCH = 200  # twice the screen's 100
MOST_TICKS, TITLE_SIZE = 8, 11.0
WIDTH = 10.0  # of a figure, in inches
PLOT_WIDTH = 3.9  # of a plot on the page
LEFT = 0.62  # of the first panel in a row
LEGEND_GAP = 0.75  # for a line and the space before the next one
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


def run_color(index: int) -> str:
    """The colour of run number ``index``; from the seventh on they come again, with other lines and markers."""
    return RUN_COLORS[index % len(RUN_COLORS)]


def run_marker(index: int) -> str:
    return RUN_MARKERS[(index + index // len(RUN_COLORS)) % len(RUN_MARKERS)]


def run_look(index: int) -> dict[str, Any]:
    """How run number ``index`` is drawn: a line under another one is wider, so that it still shows."""
    return {
        "color": run_color(index),
        "linestyle": RUN_LINES[index // len(RUN_COLORS) % len(RUN_LINES)],
        "linewidth": 1.8 + 0.7 * min(index, 2),
        "marker": run_marker(index),
        "markersize": 5,
        "markeredgecolor": PAPER,
        "markeredgewidth": 0.8,
        "solid_joinstyle": "round",
        "clip_on": False,
        "zorder": 3,
    }


def draw_seed(axes: Axes, index: int, xs: Sequence[float], values: Sequence[float]) -> None:
    look = {"marker": "."} if len(xs) == 1 else {}
    axes.plot(xs, values, color=run_color(index), linewidth=0.7, alpha=0.6, clip_on=False, zorder=2.5, **look)


def length_ticks(axes: Axes, lengths: Sequence[int]) -> None:
    """Ticks at measured lengths, at most MOST_TICKS of them."""
    every = -(-len(lengths) // MOST_TICKS)
    axes.set_xticks(lengths[::every])


def fit_title(axes: Axes, title: str, pad: float, color: str = INK) -> None:
    """A panel's title, smaller if it is wider than the panel."""
    size = fitting_size(title, TITLE_SIZE, axes.get_position().width * WIDTH, "bold")
    axes.set_title(title, loc="left", fontsize=size, fontweight="bold", pad=pad, color=color)


def percent_axis(axes: Axes) -> None:
    """The y axis from 0 to 100 %, with a light grid."""
    axes.set_ylim(-4, 104)
    axes.set_yticks([0, 25, 50, 75, 100])
    percent_labels(axes)


def percent_labels(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


@dataclass(frozen=True)
class Head:
    """What stands at the top of a figure. Where nothing says what the runs are, their names share lines."""

    title: str
    subtitle: str
    entries: Sequence[tuple[int, str, str]]
    """The legend: (run's number, its name, what it is)."""


def panel_grid(
    head: Head,
    rows: Sequence[tuple[float, int]],
    columns: int,
    *,
    below_head: float = 0.0,
    right: float,
    gap: float,
    bottom: float,
    apart: float,
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with its head, and the axes of its panels, row by row, all measures in inches.

    ``rows`` has each row's height and number of panels, 0 for a single wide one. The head lies above them, ``gap``
    between them, ``apart`` times a panel's width between those of a row.
    """
    above = _head_height(head) + below_head
    height = above + sum(tall for tall, _ in rows) + gap * (len(rows) - 1) + bottom
    figure = Figure(figsize=(WIDTH, height))
    whole = WIDTH - LEFT - right
    space = whole / (columns + apart * (columns - 1))  # a panel's width
    y, axes = height - above, []
    for tall, number in rows:
        y -= tall
        boxes = [(LEFT + (1 + apart) * space * column, space) for column in range(number)] or [(LEFT, whole)]
        axes.append([figure.add_axes((x / WIDTH, y / height, wide / WIDTH, tall / height)) for x, wide in boxes])
        y -= gap
    _draw_head(figure, head)
    return figure, axes


def _draw_head(figure: Figure, head: Head) -> None:
    """The title, the subtitle and the legend at the top; its height is ``_head_height``."""
    width, height = WIDTH, figure.get_size_inches()[1]
    x, y = 0.2, height - 0.2
    size = fitting_size(head.title, 15, width - 2 * x, "bold")
    figure.text(x / width, y / height, head.title, fontsize=size, fontweight="bold", va="top")
    y -= 0.36
    for line in head.subtitle.splitlines():
        size = fitting_size(line, 10.5, width - 2 * x)
        figure.text(x / width, y / height, line, fontsize=size, color=MUTED, va="top")
        y -= 0.22
    y -= 0.14
    columns = _legend_columns(head.entries)
    widest = max((text_width(name, 10.5, "bold") for _, name, _ in head.entries), default=0.0)
    for position, (index, name, about) in enumerate(head.entries):
        row, column = divmod(position, columns)
        left, middle = x + column * (widest + LEGEND_GAP), y - 0.25 * row
        look = {**run_look(index), "linewidth": 2, "markersize": 6}
        place = [left / width, (left + 0.34) / width]
        figure.add_artist(Line2D(place, [middle / height] * 2, **{**look, "marker": ""}))
        figure.add_artist(Line2D([sum(place) / 2], [middle / height], **{**look, "linestyle": ""}))
        bold = {"fontsize": 10.5, "fontweight": "bold", "va": "center_baseline"}
        figure.text((left + 0.44) / width, middle / height, name, color=look["color"], **bold)
        if about:
            start = left + 0.44 + widest + 0.15
            size = fitting_size(about, 10, width - x - start)
            figure.text(start / width, middle / height, about, fontsize=size, color=MUTED, va="center_baseline")


def _head_height(head: Head) -> float:
    """Inches that ``_draw_head`` takes, with room for the panels' own titles below it."""
    rows = -(-len(head.entries) // _legend_columns(head.entries))
    return 0.2 + 0.36 + 0.22 * len(head.subtitle.splitlines()) + 0.14 + 0.25 * rows + 0.38


def _legend_columns(entries: Sequence[tuple[int, str, str]]) -> int:
    if not entries or any(about for _, _, about in entries):
        return 1
    widest = max(text_width(name, 10.5, "bold") for _, name, _ in entries)
    return max(1, min(len(entries), int((WIDTH - 0.4) / (widest + LEGEND_GAP))))


def fitting_size(text: str, size: float, room: float, weight: str = "normal") -> float:
    """``size``, or a smaller one at which ``text`` takes ``room`` inches."""
    return min(size, size * room / max(text_width(text, size, weight), 0.1))


def text_width(text: str, size: float, weight: str) -> float:
    """Inches."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return TextPath((0, 0), text, prop=font).get_extents().width / 72 if text.strip() else 0.0


def save_figure(figure: Figure, path: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write the figure as ``path`` with each format's suffix; return the paths."""
    paths = [path.with_suffix(f".{name}") for name in formats]
    for file, name in zip(paths, formats, strict=True):
        with atomic_write(file, "wb") as handle:
            metadata = NO_METADATA if name == "svg" else None
            figure.savefig(handle, format=name, dpi=PIXELS_PER_INCH, facecolor=PAPER, metadata=metadata)
    return paths


def plot_svg(
    draw: Callable[[Axes], None],
    height: float,
    place: tuple[float, float, float, float],
    unit: str,
    label: str,
    colors: Mapping[str, str] | None = None,
    width: float = PLOT_WIDTH,
) -> str:
    """What ``draw`` does on axes at ``place`` in a small figure, ``width`` times ``height`` inches, as ``_inline_svg``
    gives it.

    ``unit`` says what the x axis counts.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes(place)
        axes.set_xlabel(unit)
        draw(axes)
    return _inline_svg(figure, label, colors)


def _inline_svg(figure: Figure, label: str, colors: Mapping[str, str] | None) -> str:
    """The figure as inline SVG in the page's colours and font: CSS variables (``--ink``, ``--run-0``, ...).

    ``colors`` maps colours to the variables' names, by default those of the runs. The gid of a bar becomes its tooltip.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would style the whole page
    svg = re.sub(r'<g id="bar: ([^"]*)">', r"<g><title>\1</title>", svg)
    svg = re.sub(r'<g id="\w+">', "<g>", svg)  # names that every panel repeats
    described = f'role="img" aria-label="{escape(label)}"'
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', lambda _: described, svg, count=1)  # the page sets the size
    variables = {INK: "ink", MUTED: "muted", GRID: "grid", SHADE: "shade", PAPER: "paper"}
    variables |= colors if colors is not None else {color: f"run-{index}" for index, color in enumerate(RUN_COLORS)}
    for color, name in variables.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg.replace("'DejaVu Sans'", "var(--font)")
