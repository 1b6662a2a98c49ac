"""The compared numbers for other programs: CSV with a row per cell, Markdown for an issue or a paper's draft."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megatron_rfft.common.files import atomic_write
from megatron_rfft.evaluation.error_bars import ALL_KINDS, kind_totals
from megatron_rfft.evaluation.figures import Run, task_names
from megatron_rfft.evaluation.metrics import OUTCOMES

LOOP_COLUMNS = ("mean", "true_mean", "fewer", "equal", "more")


def write_csv(runs: Sequence[Run], path: Path) -> Path:
    """One row per run, task and length; the columns of a form without traces stay empty."""
    header = ["run", "task", "length", "n", *OUTCOMES, "accuracy", "low_95", "high_95", "mean_tokens"]
    header += [*(f"iterations_{name}" for name in LOOP_COLUMNS), *(kind.replace(",", "") for kind in ALL_KINDS)]
    with atomic_write(path) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        for run in runs:
            for task in run.results["tasks"]:
                writer.writerows([run.name, task, length, *_row(cell)] for length, cell in run.cells(task).items())
    return path


def _row(cell: dict[str, Any]) -> list[Any]:
    row = [cell["n"], *(cell[outcome] for outcome in OUTCOMES), cell["accuracy"], *cell["interval"]]
    row.append(round(cell["mean_tokens"], 1))
    if "steps" not in cell:
        return row + [""] * (len(LOOP_COLUMNS) + len(ALL_KINDS))
    loops, kinds = cell["steps"]["iterations"], cell["steps"]["kinds"]
    return [*row, *(round(loops[name], 2) for name in LOOP_COLUMNS), *(kinds.get(kind, 0) for kind in ALL_KINDS)]


def write_markdown(runs: Sequence[Run], path: Path, title: str) -> Path:
    """A table of accuracies per task, one of the summaries, and the first errors by kind."""
    lines = [f"# {title}", ""]
    for task in task_names(runs):
        shown = [run for run in runs if run.cells(task)]
        lengths = sorted({length for run in shown for length in run.cells(task)})
        lines += [
            f"## {task}",
            "",
            *_table(["accuracy in %", *map(str, lengths), "Max_Len 90 %"], _accuracies(task, shown, lengths)),
        ]
        rows = [[run.name, _kinds(run.results["tasks"][task]["cells"])] for run in shown]
        if any(text for _, text in rows):
            lines += _table(["run", "first errors"], rows)
    lines += ["## Mean over tasks", ""]
    header = ["run", "tasks", "Max_Len 90 %, all shorter too", "Max_Len 90 %, with gaps", "accuracy at the longest"]
    lines += _table(header, [_summary(run) for run in runs])
    with atomic_write(path) as handle:
        handle.write("\n".join(lines).rstrip() + "\n")
    return path


def _accuracies(task: str, runs: Sequence[Run], lengths: Sequence[int]) -> list[list[str]]:
    rows = []
    for run in runs:
        cells, summary = run.cells(task), run.results["tasks"][task]["summary"]
        values = [f"{100 * cells[length]['accuracy']:.0f}" if length in cells else "" for length in lengths]
        rows.append([run.name, *values, str(summary["max_len_90_all"])])
    return rows


def _kinds(cells: dict[str, Any]) -> str:
    return "; ".join(f"{count} {kind}" for kind, count in kind_totals(cells).items())


def _summary(run: Run) -> list[str]:
    summary = run.results["summary"]
    lengths = [f"{summary[key]:.2f}" for key in ("max_len_90_all", "max_len_90_any")]
    return [run.name, str(len(run.results["tasks"])), *lengths, f"{100 * summary['accuracy_at_longest']:.1f} %"]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[text.replace("|", "\\|") for text in row] for row in [header, *rows]]
    lines = ["| " + " | ".join(row) + " |" for row in escaped]
    return [lines[0], "|---" * len(header) + "|", *lines[1:], ""]
