"""Compare finished evaluations: one self-contained HTML page; figures as PNG, SVG; numbers as JSON, CSV, Markdown."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from markupsafe import Markup

from megatron_rfft.common.files import atomic_write
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.evaluation.curves import Curve, curve_svg, line_number, save_curves
from megatron_rfft.evaluation.error_bars import bars_svg, is_traced, loop_errors_svg, save_errors
from megatron_rfft.evaluation.exports import write_csv, write_markdown
from megatron_rfft.evaluation.figures import (
    MEAN_ON_TOP,
    Wording,
    caption,
    format_lengths,
    mean_panel,
    panel_svg,
    save_figures,
    task_panel,
    trained_spans,
)
from megatron_rfft.evaluation.general import general_rows, general_table
from megatron_rfft.evaluation.metrics import OUTCOMES
from megatron_rfft.evaluation.overview import GROUPED_FROM, accuracy_heat, groups
from megatron_rfft.evaluation.paper_table import PROTOCOL, SOURCE, TABLE, beside_the_paper
from megatron_rfft.evaluation.run_folder import RESULTS
from megatron_rfft.evaluation.runs import Run, beyond_trained, mean_cells, require_comparable, task_names
from megatron_rfft.evaluation.steps import ALL_KINDS, kind_totals, without_thoughts
from megatron_rfft.evaluation.table import warn_of
from megatron_rfft.pages.page import render_page

TEMPLATE = Path(__file__).with_name("report.html")
LINES_BEFORE, LINES_AFTER = 8, 6  # around the first error of a sample answer
MORE_TIMING = {
    "server": "server",
    "retries": "requests asked again",
    "sent": "parameters sent",
    "uncounted": "answers whose tokens were not counted",
    "prefix_cache_hit_rate": "prefix cache hit rate",
}


def write_report(
    runs: Sequence[Run],
    output: Path | str,
    wording: Wording,
    curves: Sequence[Curve] = (),
    general: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Write ``report.html``, ``report.md``, the figures, ``results.csv`` and ``results.json`` into ``output``.

    Returns what ``results.json`` holds: a manifest with the runs' results by name, their means over tasks, what they
    reach beyond the trained lengths, and the curves. ``general`` has results of general tasks by the name that the
    report gives them (``evaluation/general.py``). Raises UserError where the runs do not compare.
    """
    require_comparable(runs)
    table = general_table(general) if general else []
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    files = [*save_figures(runs, output, wording), *save_errors(runs, output, wording)]
    files += save_curves(curves, runs, output)
    files += [
        write_csv(runs, output / "results.csv"),
        write_markdown(runs, curves, output / "report.md", wording, table),
    ]
    files.append(output / "report.html")
    with atomic_write(files[-1]) as handle:
        handle.write(render_html(runs, wording, curves, table))
    tasks = task_names(runs)
    return write_manifest(
        output / RESULTS,
        "report",
        files,
        title=wording.title,
        runs={run.name: {key: value for key, value in run.results.items() if key != "files"} for run in runs},
        means={run.name: mean_cells(run, tasks) for run in runs} if len(tasks) > 1 else {},
        beyond_trained=beyond_trained(runs),
        curves={curve.title: curve.measured() for curve in curves},
        general=general_rows(general) if general else [],
    )


def render_html(
    runs: Sequence[Run], wording: Wording, curves: Sequence[Curve] = (), general: Sequence[Sequence[str]] = ()
) -> str:
    """The page: it refers to nothing outside itself, and follows the reader's light or dark scheme."""
    tasks = task_names(runs)
    mean, small = mean_panel(runs), len(tasks) >= GROUPED_FROM
    grouped = groups(tasks) if small else {"": tasks}
    return render_page(
        TEMPLATE,
        {"percent": _percent, "lengths": format_lengths, "short": _short},
        title=wording.title,
        subtitle=wording.subtitle,
        caption=caption(runs),
        runs=[
            {
                "name": run.name,
                "about": wording.about.get(run.name, ""),
                "index": index,
                "seeds": len(run.seeds),
                "note": f"{len(run.seeds)} seeds" if run.seeds else "",
                "facts": _provenance(run),
            }
            for index, run in enumerate(runs)
        ],
        tasks=[_task_context(task, runs, wording, small) for task in tasks],
        groups=grouped,
        small=small,
        folded=len(tasks) >= MEAN_ON_TOP,
        heat=_heat(runs, [task for names in grouped.values() for task in names], wording) if len(tasks) > 1 else [],
        together=_errors_together(runs, tasks, wording) if len(tasks) >= MEAN_ON_TOP else [],
        mean_panel=mean
        and {
            "title": mean.title,
            "svg": Markup(panel_svg(mean, wording.unit)),
            "first": len(tasks) >= MEAN_ON_TOP,
        },
        means=[
            {"name": run.name, "index": index, "summary": run.results["summary"]}
            for index, run in enumerate(runs)
            if len(run.results["tasks"]) == len(tasks) > 1  # means over other tasks do not compare
        ],
        beyond=beyond_trained(runs),
        curves=_curves(curves, runs),
        general=general,
        outcomes=OUTCOMES,
        kinds=list(ALL_KINDS),
        paper={
            "source": SOURCE,
            "protocol": PROTOCOL,
            "table": TABLE,
            "ours": [{**beside_the_paper(run), "index": index} for index, run in enumerate(runs)],
        },
    )


def _curves(curves: Sequence[Curve], runs: Sequence[Run]) -> dict[str, Any]:
    """The curves' plots and numbers, and for the legend their lines with the number that decides each one's colour."""
    numbers = {line.name: line_number(line.name, curves, runs) for curve in curves for line in curve.lines}
    shown = [
        {
            "title": curve.title,
            "subtitle": curve.subtitle,
            "values": curve.values,
            "measured": curve.measured(),
            "svg": Markup(curve_svg(curve, numbers)),
        }
        for curve in curves
    ]
    return {"shown": shown, "lines": numbers}


def _short(value: float) -> str:
    """A mean of lengths without needless digits: 6.0 -> "6", 6.25 -> "6.2"."""
    return f"{value:.1f}".removesuffix(".0")


def _percent(value: float) -> str:
    """A proportion as a percentage without needless digits: 0.985 -> "98.5", 1.0 -> "100"."""
    return f"{100 * value:.1f}".removesuffix(".0")


def _heat(runs: Sequence[Run], tasks: Sequence[str], wording: Wording) -> list[dict[str, Any]]:
    """A heat map for each run, all with the same rows and columns."""
    lengths = sorted({length for run in runs for task in tasks for length in run.cells(task)})
    return [
        {"name": run.name, "index": index, "svg": Markup(accuracy_heat(run, tasks, lengths, wording.unit))}
        for index, run in enumerate(runs)
    ]


def _errors_together(runs: Sequence[Run], tasks: Sequence[str], wording: Wording) -> list[dict[str, Any]]:
    """The first wrong lines of each run that gives traces, over all tasks."""
    label = "First errors of {} on all tasks by length"
    return [
        {"name": run.name, "index": index, "svg": Markup(bars_svg(run, tasks, wording.unit, label.format(run.name)))}
        for index, run in enumerate(runs)
        if is_traced(run)
    ]


def _task_context(task: str, runs: Sequence[Run], wording: Wording, small: bool) -> dict[str, Any]:
    """What the template shows of one task: the panel, and per run the summary, the numbers and sample answers."""
    shown = [_run_context(i, run, task, wording.unit) for i, run in enumerate(runs) if task in run.results["tasks"]]
    lengths = sorted({int(length) for run in shown for length in run["cells"]})
    trained = {length for run in shown for length in run["trained_lengths"]}
    spans = trained_spans(sorted(trained), lengths)
    return {
        "name": task,
        "title": wording.tasks.get(task),
        "panel": Markup(panel_svg(task_panel(task, runs, wording.task(task)), wording.unit, small)),
        "runs": shown,
        "loops": Markup(svg) if (svg := loop_errors_svg(runs, [task], wording.unit, _loops_label(task))) else None,
        "lengths": lengths,
        "kinds": [kind for kind in ALL_KINDS if any(kind in run["kinds"] for run in shown)],
        "trained": [length for length in lengths if any(first <= length <= last for first, last in spans)],
    }


def _loops_label(task: str) -> str:
    return f"Mean relative error of the passes through loops on {task} by length"


def _run_context(index: int, run: Run, task: str, unit: str) -> dict[str, Any]:
    measured = run.results["tasks"][task]
    cells = measured["cells"]
    traced = any("steps" in cell for cell in cells.values())
    return {
        "name": run.name,
        "index": index,
        **measured,
        "samples": [_sample(measured["samples"][key]) for key in ("correct", "failed") if measured["samples"][key]],
        "kinds": kind_totals(cells),
        "bars": Markup(bars_svg(run, [task], unit, f"First errors of {run.name} on {task} by length"))
        if traced
        else None,
    }


def _sample(record: Mapping[str, Any]) -> dict[str, Any]:
    """An answer, and where it has a first error the lines around that one, beside the true ones."""
    trace = record.get("trace") or {}
    error = trace.get("error")
    if not error:
        return {**record, "error": None}
    lines = without_thoughts(record["text"]).split("\n")
    at = error["line"] - 1
    start, end = max(0, at - LINES_BEFORE), min(len(lines), at + 1 + LINES_AFTER)
    rows = [("same", number + 1, lines[number], lines[number]) for number in range(start, at)]
    rows.append(("first", at + 1, error["got"], error["expected"]))
    after = zip_longest(lines[at + 1 : end], trace.get("true_after", [])[:LINES_AFTER])
    rows += [("after", at + 2 + number, got, true) for number, (got, true) in enumerate(after)]
    return {
        **record,
        "error": error,
        "rows": [dict(zip(("kind", "number", "got", "true"), row, strict=True)) for row in rows],
        "num_before": start,
        "num_after": max(0, len(lines) - end),
        "knows_after": "true_after" in trace,
    }


def _provenance(run: Run) -> dict[str, Any]:
    """The facts that identify a run, as (label, value) pairs in reading order."""
    results, settings = run.results, run.results["settings"]
    trained = {task: r["trained_lengths"] for task, r in results["tasks"].items() if r["trained_lengths"]}
    left_out = {task: r["left_out"] for task, r in results["tasks"].items() if r["left_out"]}
    capped = sum(cell["capped"] for task in results["tasks"].values() for cell in task["cells"].values())
    timing, engine, budget = results["timing"], results["engine"], settings["budget"]
    facts: dict[str, Any] = {
        **_all_models(results),
        "prompt form": settings["form"] + (", in the tokenizer's chat template" if settings["chat"] else ""),
        "trained on": _by_task(trained) or "not stated by the model",
        "questions": f"split {settings['split']}, up to {settings['samples']} per task and length",
        "tasks": ", ".join(f"{task} v{version}" for task, version in settings["tasks"].items()),
        "engine": f"{engine['version']}, {engine['dtype']}, {engine['device']}, {_decoding(timing)}{_batching(engine)}",
        "token budget": _budget(settings["form"], budget),
        "time": "{seconds:.0f} s for {answers} answers, {tokens_per_second:.0f} tokens/s".format(**timing),
        "megatron_rfft": results["megatron_rfft"],
    }
    facts |= {label: str(timing[key]) for key, label in MORE_TIMING.items() if key in timing}
    if warning := warn_of(results):
        facts = {"warning": warning, **facts}
    if unasked := sum(cell.get("unasked", 0) for task in results["tasks"].values() for cell in task["cells"].values()):
        facts["prompts that fill the model's context, not asked"] = str(unasked)
    if left_out:
        facts["lengths left out"] = _by_task(left_out)
    if capped:
        facts["budgets cut by the model's context"] = str(capped)
    return facts


def _decoding(timing: Mapping[str, Any]) -> str:
    """A server that takes no temperature does not decode greedily."""
    return "greedy" if timing.get("sent", {"temperature": 0}).get("temperature") == 0 else "not greedy, as served"


def _batching(engine: Mapping[str, Any]) -> str:
    """What may decide near ties: which prompts share a prefix, and what else is in flight."""
    cache = {True: ", with prefix caching", False: ", without prefix caching"}.get(engine.get("prefix_caching"), "")
    return cache + (", batch-invariant" if engine.get("batch_invariant") else "")


def _all_models(results: Mapping[str, Any]) -> dict[str, str]:
    if "seeds" not in results:
        return {"model": _models(results)}
    return {f"model, seed {seed}": _models(part) for seed, part in results["seeds"].items()}


def _models(results: Mapping[str, Any]) -> str:
    if "model" in results:
        return _model(results["model"])
    return "; ".join(f"for {tasks}: {_model(model)}" for tasks, model in results["models"].items())


def _model(model: Mapping[str, Any]) -> str:
    return f"{model['name']} (sha256 {model['sha256'][:12]})" if model["sha256"] else f"{model['name']}, as served"


def _budget(form: str, budget: dict[str, Any]) -> str:
    if "max_tokens" in budget:
        return f"{budget['max_tokens']:,}"
    if form == "cot-zero-shot":
        return f"{budget['thinking']:,}"
    return f"{budget['factor']} × the true answer's {budget.get('unit', 'tokens')} + {budget['margin']}"


def _by_task(lengths: Mapping[str, Sequence[int]]) -> str:
    """``coin_flip 1–10, last_letter 1–5``, or only ``1–10`` where all tasks agree."""
    texts = {task: format_lengths(values) for task, values in lengths.items()}
    if len(set(texts.values())) == 1:
        return f"lengths {next(iter(texts.values()))}"
    return ", ".join(f"{task} {text}" for task, text in texts.items())
