"""The compared numbers for other programs: CSV with a row per cell, Markdown for an issue or a paper's draft."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from megatron_rfft.common.files import atomic_write
from megatron_rfft.evaluation.curves import Curve
from megatron_rfft.evaluation.figures import Wording, format_lengths
from megatron_rfft.evaluation.metrics import OUTCOMES
from megatron_rfft.evaluation.paper_table import PROTOCOL, SOURCE, TABLE, beside_the_paper
from megatron_rfft.evaluation.runs import Run, beyond_trained, mean_cells, task_names
from megatron_rfft.evaluation.steps import ALL_KINDS, kind_totals

LOOP_COLUMNS = ("mean", "true_mean", "fewer", "equal", "more", "relative_error")
MEAN_OF_SEEDS = "mean"


def write_csv(runs: Sequence[Run], path: Path) -> Path:
    """One row per run, task and length; the columns of a form without traces stay empty.

    A run of several seeds has ``mean`` as its ``seed`` and all seeds' answers as its ``n``; a row per seed with the
    number of answers and the accuracy follows.
    """
    header = ["run", "task", "length", "seed", "n", *OUTCOMES, "accuracy", "low_95", "high_95", "mean_tokens"]
    header += [*(f"iterations_{name}" for name in LOOP_COLUMNS), *(kind.replace(",", "") for kind in ALL_KINDS)]
    with atomic_write(path) as handle:
        writer = csv.DictWriter(handle, header, restval="", lineterminator="\n")
        writer.writeheader()
        for run in runs:
            for task in run.results["tasks"]:
                for length, cell in run.cells(task).items():
                    place = {"run": run.name, "task": task, "length": length}
                    writer.writerow({**place, "seed": MEAN_OF_SEEDS if run.seeds else "", **_row(cell)})
                    for seed, accuracy in cell.get("by_seed", {}).items():
                        writer.writerow({**place, "seed": seed, "n": cell["questions"], "accuracy": accuracy})
    return path


def _row(cell: Mapping[str, Any]) -> dict[str, Any]:
    row = {key: cell[key] for key in ("n", *OUTCOMES, "accuracy")}
    row |= {"low_95": cell["interval"][0], "high_95": cell["interval"][1], "mean_tokens": round(cell["mean_tokens"], 1)}
    if "steps" in cell:
        loops, kinds = cell["steps"]["iterations"], cell["steps"]["kinds"]
        known = {name: loops[name] for name in LOOP_COLUMNS if loops.get(name) is not None}
        row |= {f"iterations_{name}": round(value, 4) for name, value in known.items()}
        row |= {kind.replace(",", ""): kinds.get(kind, 0) for kind in ALL_KINDS}
    return row


def write_markdown(
    runs: Sequence[Run], curves: Sequence[Curve], path: Path, wording: Wording, general: Sequence[Sequence[str]] = ()
) -> Path:
    """Accuracies per task and on average, beyond the trained lengths, first errors, curves, the paper's table 2, and
    general ability (rows of ``general.general_table``).
    """
    lines = [f"# {wording.title}", "", *([wording.subtitle, ""] if wording.subtitle else [])]
    tasks = task_names(runs)
    for task in tasks:
        shown = [(run, run.cells(task)) for run in runs if run.cells(task)]
        plain = f": {wording.tasks[task]}" if task in wording.tasks else ""
        lines += [f"## {task}{plain}", "", *_accuracies(shown, task)]
        rows = [[run.name, _kinds(run.results["tasks"][task]["cells"])] for run, _ in shown]
        if any(text for _, text in rows):
            lines += _table(["run", "first errors"], rows)
    lines += ["## Mean over tasks", ""]
    if len(tasks) > 1 and (means := [(run, cells) for run in runs if (cells := mean_cells(run, tasks))]):
        lines += _accuracies(means)
    header = ["run", "tasks", "Max_Len 90 %, all shorter too", "Max_Len 90 %, with gaps", "accuracy at the longest"]
    lines += _table(header, [_summary(run) for run in runs])
    lines += [*_beyond(runs), *_curves(curves), *_paper(runs)]
    if general:
        lines += ["## General ability", "", *_table(list(general[0]), [list(row) for row in general[1:]])]
    with atomic_write(path) as handle:
        handle.write("\n".join(lines).rstrip() + "\n")
    return path


def format_estimate(cell: Mapping[str, Any]) -> str:
    """An accuracy in percent with its interval: ``97 [88–99]``."""
    low, high = cell["interval"]
    return f"{100 * cell['accuracy']:.0f} [{100 * low:.0f}–{100 * high:.0f}]"


def _accuracies(shown: Sequence[tuple[Run, Mapping[int, Mapping[str, Any]]]], task: str | None = None) -> list[str]:
    """A row per run; with several seeds their number, and the interval behind each mean."""
    lengths = sorted({length for _, by_length in shown for length in by_length})
    seeded = any(run.seeds for run, _ in shown)
    header = ["accuracy in %", *(["seeds"] if seeded else []), *map(str, lengths), *(["Max_Len 90 %"] if task else [])]
    rows = []
    for run, by_length in shown:
        write = format_estimate if seeded else lambda cell: f"{100 * cell['accuracy']:.0f}"
        values = [write(by_length[length]) if length in by_length else "" for length in lengths]
        row = [run.name, *([str(len(run.seeds) or 1)] if seeded else []), *values]
        rows.append([*row, f"{run.results['tasks'][task]['summary']['max_len_90_all']:g}"] if task else row)
    return _table(header, rows)


def _kinds(cells: Mapping[str, Any]) -> str:
    return "; ".join(f"{count} {kind}" for kind, count in kind_totals(cells).items())


def _summary(run: Run) -> list[str]:
    summary = run.results["summary"]
    lengths = [f"{summary[key]:.2f}" for key in ("max_len_90_all", "max_len_90_any")]
    return [run.name, str(len(run.results["tasks"])), *lengths, f"{100 * summary['accuracy_at_longest']:.1f} %"]


def _beyond(runs: Sequence[Run]) -> list[str]:
    found = beyond_trained(runs)
    if found is None:
        return []
    lines = ["## Beyond the trained lengths", "", "Mean accuracy in % with its 95 % interval.", ""]
    rows = [
        [task, format_lengths(found["lengths"][task]), *_estimates(cells, runs)]
        for task, cells in found["tasks"].items()
    ]
    if found["mean"]:
        rows.append(["mean", "", *_estimates(found["mean"], runs)])
    lines += _table(["task", "lengths", *(run.name for run in runs)], rows)
    for task, pairs in found["overlapping"].items():
        if pairs:
            lines += [f"Intervals overlap on {task}: {'; '.join(' and '.join(pair) for pair in pairs)}.", ""]
    return lines


def _estimates(cells: Mapping[str, Mapping[str, Any]], runs: Sequence[Run]) -> list[str]:
    return [format_estimate(cells[run.name]) if run.name in cells else "" for run in runs]


def _curves(curves: Sequence[Curve]) -> list[str]:
    lines = []
    for curve in curves:
        rows = [
            [name, *(format_estimate(points[value]) if value in points else "" for value in curve.values)]
            for name, points in curve.measured().items()
        ]
        lines += [
            f"## {curve.title[0].upper()}{curve.title[1:]}",
            "",
            f"Accuracy in % with its 95 % interval, {curve.subtitle}.",
            "",
        ]
        lines += _table([curve.title, *curve.values], rows)
    return lines


def _paper(runs: Sequence[Run]) -> list[str]:
    rows = [
        [method, model, f"{100 * accuracy:.0f} %", f"{max_length:.2f}", ""]
        for method, model, accuracy, max_length in TABLE
    ]
    for run in runs:
        ours = beside_the_paper(run)
        both = f"{ours['summary']['max_len_90_all']:.2f} ({ours['summary']['max_len_90_any']:.2f})"
        accuracy = f"{100 * ours['summary']['accuracy_at_longest']:.0f} % at {ours['longest']}"
        which = f"mean of {ours['seeds']} seeds" if ours["seeds"] > 1 else "this run"
        rows.append([f"**{run.name}**", which, accuracy, both, "; ".join(ours["deviates"])])
    header = ["method", "model", "accuracy at the longest", "Max_Len 90 % (with gaps)", "differs from the paper in"]
    note = f"The paper's figures ({SOURCE}: {PROTOCOL}) were not measured here; these runs are set in bold."
    return ["## Beside the paper", "", *_table(header, rows), note, ""]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[text.replace("|", "\\|") for text in row] for row in [header, *rows]]
    lines = ["| " + " | ".join(row) + " |" for row in escaped]
    return [lines[0], "|---" * len(header) + "|", *lines[1:], ""]
