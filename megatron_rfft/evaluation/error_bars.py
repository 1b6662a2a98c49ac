"""What went wrong at each length: a stacked bar per length, drawn as inline SVG in the page's colours."""

from collections import Counter
from collections.abc import Mapping
from html import escape
from typing import Any

from megatron_rfft.evaluation.steps import KINDS, LUCKY

ALL_KINDS = (*KINDS, LUCKY)
WIDTH, HEIGHT = 390, 190
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 10, 34
WIDEST_BAR = 34


def kind_totals(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """How often each kind occurs in all cells together, in the order of KINDS."""
    totals: Counter[str] = Counter()
    for cell in cells.values():
        totals.update(cell.get("steps", {}).get("kinds", {}))
    return {kind: totals[kind] for kind in ALL_KINDS if totals[kind]}


def error_bars_svg(label: str, cells: Mapping[str, Mapping[str, Any]]) -> str:
    """Bars of one run on one task; ``cells`` by length, those without ``steps`` stay empty."""
    lengths = sorted(cells, key=int)
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = width / len(lengths)
    bar = min(WIDEST_BAR, 0.72 * step)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" class="bars">']
    for percent in (0, 50, 100):
        y = TOP + height * (1 - percent / 100)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--grid)"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 3:.1f}" text-anchor="end">{percent} %</text>')
    every = -(-len(lengths) // 15)  # labels that do not touch
    for place, length in enumerate(lengths):
        center = LEFT + step * (place + 0.5)
        parts += _stack(length, cells[length], center - bar / 2, bar, height)
        if place % every == 0:
            parts.append(f'<text x="{center:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{length}</text>')
    parts.append(f'<text x="{LEFT + width / 2:.1f}" y="{HEIGHT - 4}" text-anchor="middle">length</text></svg>')
    return "".join(parts)


def _stack(length: str, cell: Mapping[str, Any], x: float, width: float, height: float) -> list[str]:
    parts, bottom = [], TOP + height
    for index, kind in enumerate(ALL_KINDS):
        count = cell.get("steps", {}).get("kinds", {}).get(kind, 0)
        if count:
            tall = height * count / cell["n"]
            bottom -= tall
            box = f'x="{x:.1f}" y="{bottom:.2f}" width="{width:.1f}" height="{tall:.2f}"'
            title = f"{kind}: {count} of {cell['n']} at length {length}"
            parts.append(f'<rect {box} fill="var(--kind-{index})"><title>{escape(title)}</title></rect>')
    return parts
