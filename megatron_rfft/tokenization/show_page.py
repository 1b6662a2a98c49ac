"""A page about a data set: how long its documents are, what they are about, how they pack, and single ones by token."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from megatron_rfft.common.files import atomic_write
from megatron_rfft.data.documents import Documents
from megatron_rfft.data.packing import pack, shuffled_order
from megatron_rfft.pages.heat_map import Scale, heat_map
from megatron_rfft.pages.page import render_page
from megatron_rfft.pages.style import GRID, percent_labels, plot_svg, run_color
from megatron_rfft.tasks.names import plain_names
from megatron_rfft.tokenization.inspection import ShownDocument
from megatron_rfft.tokenization.tokenizers import Tokenizer

TEMPLATE = Path(__file__).with_name("show_page.html")
SEQUENCES = 32
"""Packed sequences that are drawn."""
_BINS = 40
_PLACE = (0.15, 0.18, 0.8, 0.78)


def write_show_page(
    page: Path,
    documents: Documents,
    tokenizer: Tokenizer,
    result: Mapping[str, Any],
    shown: Sequence[ShownDocument],
    seed: int,
) -> None:
    """Write ``page``. ``result`` is what ``rfft show`` prints: totals, ``statistics``, and ``packing`` if asked for."""
    totals = {key: value for key, value in result.items() if key not in ("input", "statistics", "packing")}
    packing = result.get("packing")
    html = render_page(
        TEMPLATE,
        title=f"Data set: {Path(result['input']).name}",
        subtitle="",
        runs=[],
        totals={key.replace("_", " "): _plain(value) for key, value in totals.items()},
        panels=[
            {"title": title, "svg": Markup(_histogram(values, unit, title, whole))}
            for title, values, unit, whole in (
                ("tokens per document", documents.lengths, "tokens", False),
                ("target tokens per document", documents.lengths - documents.rows["response_start"], "tokens", False),
                ("problem length", documents.rows["length"], "length", True),
            )
        ],
        heat=_heat(result["statistics"]),
        packing=packing,
        sequences=_sequences(documents, packing["sequence_length"], seed) if packing else [],
        shown=[_pieces(document, tokenizer) for document in shown],
    )
    with atomic_write(page) as handle:
        handle.write(html)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _histogram(values: np.ndarray, unit: str, title: str, whole: bool) -> str:
    """The share of all documents by ``values``; with ``whole`` a bar for each number."""
    values = values.astype(np.int64)
    low, high = int(values.min()), int(values.max())
    step = 1 if whole or high - low < _BINS else -(-(high - low + 1) // _BINS)
    edges = np.arange(low, high + step + 1, step) - 0.5
    counts, _ = np.histogram(values, edges)
    draw = partial(_draw_histogram, shares=100 * counts / len(values), edges=edges)
    return plot_svg(draw, 2.3, _PLACE, unit, f"Histogram of documents: {title}")


def _draw_histogram(axes: Axes, shares: np.ndarray, edges: np.ndarray) -> None:
    axes.stairs(shares, edges, fill=True, color=run_color(0), linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    percent_labels(axes)
    if shares.max() < 5:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g} %")


def _heat(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Heat maps of tasks by lengths: documents, and mean tokens of one."""
    tasks, lengths = (sorted({row[key] for row in rows}) for key in ("task", "length"))
    y, x = {task: at for at, task in enumerate(tasks)}, {length: at for at, length in enumerate(lengths)}
    columns = [str(length) for length in lengths]
    documents = {(y[row["task"]], x[row["length"]]): row["documents"] for row in rows}
    tokens = {(y[row["task"]], x[row["length"]]): row["tokens"] / row["documents"] for row in rows}
    few = len(columns) <= 24
    return [
        {
            "title": title,
            "svg": Markup(
                heat_map(
                    plain_names(tasks),
                    columns,
                    values,
                    Scale.over(list(values.values()), show="{:,.0f}".format),
                    f"{title} by task and length",
                    "length",
                    numbers=few and max(values.values()) < 1e5,
                )
            ),
        }
        for title, values in (("documents", documents), ("mean tokens of a document", tokens))
    ]


def _sequences(documents: Documents, sequence_length: int, seed: int) -> list[list[dict[str, Any]]]:
    """The first sequences of the first epoch: of each document its width and its prompt's share, both in percent."""
    lengths, rows = documents.lengths, documents.rows
    packing = pack(shuffled_order(len(documents), seed, 0), lengths, sequence_length)
    return [
        [
            {
                "wide": 100 * int(lengths[index]) / sequence_length,
                "prompt": 100 * int(rows["response_start"][index]) / int(lengths[index]),
                "told": f"document {index}: {documents.tasks[rows['task'][index]]}, length {rows['length'][index]}, "
                f"{lengths[index]} tokens",
            }
            for index in packing[sequence].tolist()
        ]
        for sequence in range(min(SEQUENCES, len(packing)))
    ]


def _pieces(document: ShownDocument, tokenizer: Tokenizer) -> dict[str, Any]:
    """A document with the text of each token."""
    pieces = [
        {
            "text": tokenizer.decode([token]) or "∎",
            "told": f"{position}: id {token}",
            "target": position >= document.response_start,
        }
        for position, token in enumerate(document.tokens)
    ]
    return {**vars(document), "pieces": pieces, "targets": len(document.tokens) - document.response_start}
