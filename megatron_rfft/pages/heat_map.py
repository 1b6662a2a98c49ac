"""Heat maps as inline SVG: a colour and a tooltip for each cell, in the page's colours."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

LEVELS = 9
"""Colours of the scale, ``--heat-0`` (the least) to ``--heat-8`` in ``base.html``."""
_HIGH = 5
"""From this level on a number in a cell is written in the other ink."""
_CELL_HEIGHT, _TEXT, _LEFT_MOST = 17, 6.7, 245
"""Pixels: of a cell, of a letter, of the longest name."""
_WIDEST = 1040
_LEAST_WIDTH, _MOST_WIDTH = 12, 42
_SWATCH = 30
_SHOW = "{:.3g}".format


@dataclass(frozen=True)
class Scale:
    """Which of LEVELS colours a value has: steps of one size from ``low`` to ``high``, of one ratio where ``log``."""

    low: float
    high: float
    log: bool = False
    show: Callable[[float], str] = _SHOW
    """How a value is written."""

    @classmethod
    def over(cls, values: Sequence[float], log: bool = False, show: Callable[[float], str] = _SHOW) -> "Scale":
        """From the least of ``values`` to the largest; those that a logarithm does not take lie below it."""
        kept = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
        return cls(min(kept), max(kept), log, show)

    def level(self, value: float) -> int:
        if self.log and value <= 0:
            return 0
        low, high, at = map(math.log, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return 0 if high <= low else min(LEVELS - 1, max(0, int(LEVELS * (at - low) / (high - low))))

    def bound(self, level: int) -> float:
        """The least value of a level; that of ``LEVELS`` is ``high``."""
        share = level / LEVELS
        return self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Mapping[tuple[int, int], float],
    scale: Scale,
    label: str,
    unit: str,
    *,
    numbers: bool = False,
    told: Callable[[int, int], str] | None = None,
) -> str:
    """``values`` by (row, column) as inline SVG; cells without one, or with one that is no number, stay empty.

    ``label`` says to a screen reader what it is, ``unit`` what the columns count. ``numbers`` are written into the
    cells. ``told`` gives a cell's tooltip; the names of its row and column and its value stand before it.
    """
    left = min(_LEFT_MOST, 14 + _TEXT * max(len(name) for name in (*rows, unit)))
    wide = min(_MOST_WIDTH, max(_LEAST_WIDTH, (_WIDEST - left) / max(len(columns), 1)))
    width = max(left + wide * len(columns), left + _SWATCH * LEVELS + 60)
    tall = _CELL_HEIGHT * len(rows)
    parts = [
        f'<text class="name" x="{left - 8:.0f}" y="{_CELL_HEIGHT * y + 12.5}" text-anchor="end">'
        f"{escape(_short(name))}<title>{escape(name)}</title></text>"
        for y, name in enumerate(rows)
    ]
    for (y, x), value in sorted(values.items()):
        if not math.isfinite(value):
            continue
        level, shown, over = scale.level(value), scale.show(value), left + wide * x
        title = escape(f"{rows[y]}, {unit} {columns[x]}: {shown}{told(y, x) if told else ''}")
        box = f'x="{over:.1f}" y="{_CELL_HEIGHT * y}" width="{wide - 1:.1f}" height="{_CELL_HEIGHT - 1}"'
        parts.append(f'<rect class="h{level}" {box}><title>{title}</title></rect>')
        if numbers:
            at = f'x="{over + (wide - 1) / 2:.1f}" y="{_CELL_HEIGHT * y + 12}" text-anchor="middle"'
            parts.append(f'<text class="{"high" if level >= _HIGH else "low"}" {at}>{escape(shown)}</text>')
    parts += _column_names(columns, left, wide, tall, unit)
    parts += _legend(scale, left, tall + 40)
    size = f'viewBox="0 0 {width:.0f} {tall + 72}" style="--width:{width:.0f}px" preserveAspectRatio="xMinYMin"'
    return f'<svg {size} role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _short(name: str) -> str:
    most = int((_LEFT_MOST - 14) / _TEXT)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _column_names(columns: Sequence[str], left: float, wide: float, tall: float, unit: str) -> list[str]:
    """The names below the cells, as many as do not touch, and before them what they count."""
    room = _TEXT * (max((len(name) for name in columns), default=0) + 1.5)
    every = max(1, math.ceil(room / wide))
    names = [
        f'<text x="{left + wide * (x + 0.5):.1f}" y="{tall + 14}" text-anchor="middle">{escape(columns[x])}</text>'
        for x in range(0, len(columns), every)
    ]
    return [f'<text x="{left - 8:.0f}" y="{tall + 14}" text-anchor="end">{escape(unit)}</text>', *names]


def _legend(scale: Scale, left: float, top: float) -> list[str]:
    """The colours, from the least to the largest value, with some of the values between them."""
    shown = []
    for level in range(LEVELS):
        at = f'x="{left + _SWATCH * level:.1f}" y="{top}"'
        shown.append(f'<rect class="h{level}" {at} width="{_SWATCH}" height="10"/>')
    for level in range(0, LEVELS + 1, 3):
        at = f'x="{left + _SWATCH * level:.1f}" y="{top + 23}"'
        anchor = {0: "start", LEVELS: "end"}.get(level, "middle")
        shown.append(f'<text {at} text-anchor="{anchor}">{escape(scale.show(scale.bound(level)))}</text>')
    return shown
