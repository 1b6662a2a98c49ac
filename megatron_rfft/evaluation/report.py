"""Compare finished evaluations: one self-contained HTML page; figures as PNG, SVG; numbers as JSON, CSV, Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, require_file
from megatron_rfft.common.manifest import read_manifest, write_manifest
from megatron_rfft.evaluation.error_bars import ALL_KINDS, error_bars_svg, kind_totals
from megatron_rfft.evaluation.exports import write_csv, write_markdown
from megatron_rfft.evaluation.figures import (
    RUN_COLORS,
    Run,
    caption,
    format_lengths,
    panel_svg,
    save_figures,
    task_names,
    trained_spans,
)
from megatron_rfft.evaluation.metrics import OUTCOMES, summarize_run
from megatron_rfft.evaluation.paper import PROTOCOL, SOURCE, TABLE, deviations
from megatron_rfft.evaluation.run_folder import RESULTS
from megatron_rfft.evaluation.steps import without_thoughts

TEMPLATE = "report.html"
LINES_BEFORE, LINES_AFTER = 12, 5  # around the first error of a sample answer
SAME_IN_A_RUN = ("form", "chat", "split", "samples", "budget", "engine")  # else its means compare unlike things
MORE_TIMING = {"server": "server", "retries": "requests asked again", "prefix_cache_hit_rate": "prefix cache hit rate"}


def load_run(name: str, *folders: Path | str) -> Run:
    """The run in a folder under the name that the report shows.

    Several folders are one run: a method whose model was adapted to each task on its own. Raises UserError if one is
    not finished, if they were not asked in the same way, or if a task is in two of them.
    """
    hint = "no finished evaluation there: run tools/evaluate.py first"
    parts = [read_manifest(require_file(Path(folder) / RESULTS, hint), "results") for folder in folders]
    return Run(name, parts[0] if len(parts) == 1 else _join(name, parts))


def _join(name: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Results of several evaluations with all their tasks; ``models`` has each one's model by its tasks."""
    first = parts[0]
    tasks: dict[str, Any] = {}
    for part in parts:
        asked, wanted = ({**results["settings"], "engine": results["engine"]} for results in (part, first))
        for key in SAME_IN_A_RUN:
            if asked[key] != wanted[key]:
                raise UserError(
                    f"the evaluations of {name!r} differ in {key} ({wanted[key]!r} and {asked[key]!r}); name each apart"
                )
        if twice := tasks.keys() & part["tasks"].keys():
            raise UserError(f"{min(twice)} is in two evaluations of {name!r}; name each apart")
        tasks |= part["tasks"]
    timing = {key: sum(part["timing"][key] for part in parts) for key in ("seconds", "answers", "generated_tokens")}
    timing["tokens_per_second"] = timing["generated_tokens"] / max(timing["seconds"], 0.1)
    versions = {task: version for part in parts for task, version in part["settings"]["tasks"].items()}
    return {
        **{key: value for key, value in first.items() if key not in ("files", "model")},
        "settings": {**first["settings"], "tasks": versions},
        "models": {", ".join(part["tasks"]): part["model"] for part in parts},
        "timing": timing,
        "tasks": tasks,
        "summary": summarize_run({task: measured["summary"] for task, measured in tasks.items()}),
    }


def write_report(runs: Sequence[Run], output: Path | str, title: str) -> dict[str, Any]:
    """Write ``report.html``, ``report.md``, the figures, ``results.csv`` and ``results.json`` into ``output``.

    Returns what ``results.json`` holds: a manifest with the runs' results by name.
    """
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise UserError(f"two runs have the same name among {names}; name each differently")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    files = save_figures(runs, output, title)
    files += [write_csv(runs, output / "results.csv"), write_markdown(runs, output / "report.md", title)]
    files.append(output / "report.html")
    with atomic_write(files[-1]) as handle:
        handle.write(render_html(runs, title))
    sections = {run.name: {key: value for key, value in run.results.items() if key != "files"} for run in runs}
    return write_manifest(output / RESULTS, "report", files, title=title, runs=sections)


def render_html(runs: Sequence[Run], title: str) -> str:
    """The page: it refers to nothing outside itself, and follows the reader's light or dark scheme."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tasks = task_names(runs)
    environment.filters |= {"percent": _percent, "lengths": format_lengths}
    return environment.get_template(TEMPLATE).render(
        title=title,
        caption=caption(runs),
        runs=[{"name": run.name, "index": index, "facts": _provenance(run)} for index, run in enumerate(runs)],
        tasks=[_task_context(task, runs) for task in tasks],
        means=[
            {"name": run.name, "index": index, "summary": run.results["summary"]}
            for index, run in enumerate(runs)
            if len(run.results["tasks"]) == len(tasks) > 1  # means over other tasks do not compare
        ],
        outcomes=OUTCOMES,
        num_colors=len(RUN_COLORS),
        kinds=list(ALL_KINDS),
        paper=_paper(runs),
    )


def _percent(value: float) -> str:
    """A proportion as a percentage without needless digits: 0.985 -> "98.5", 1.0 -> "100"."""
    return f"{100 * value:.1f}".removesuffix(".0")


def _task_context(task: str, runs: Sequence[Run]) -> dict[str, Any]:
    """What the template shows of one task: the panel, and per run the summary, the numbers and sample answers."""
    shown = [_run_context(i, run, task) for i, run in _measuring(task, runs)]
    lengths = sorted({int(length) for run in shown for length in run["cells"]})
    trained = {length for run in shown for length in run["trained_lengths"]}
    spans = trained_spans(sorted(trained), lengths)
    return {
        "name": task,
        "panel": Markup(panel_svg(task, runs)),
        "runs": shown,
        "lengths": lengths,
        "kinds": [kind for kind in ALL_KINDS if any(kind in run["kinds"] for run in shown)],
        "trained": [length for length in lengths if any(first <= length <= last for first, last in spans)],
    }


def _run_context(index: int, run: Run, task: str) -> dict[str, Any]:
    measured = run.results["tasks"][task]
    cells = measured["cells"]
    traced = any("steps" in cell for cell in cells.values())
    return {
        "name": run.name,
        "index": index,
        **measured,
        "samples": [_sample(measured["samples"][key]) for key in ("correct", "failed") if measured["samples"][key]],
        "kinds": kind_totals(cells),
        "bars": Markup(error_bars_svg(f"First errors of {run.name} on {task} by length", cells)) if traced else None,
    }


def _sample(record: Mapping[str, Any]) -> dict[str, Any]:
    """An answer, and where it has a first error the lines around that one."""
    error = (record.get("trace") or {}).get("error")
    if not error:
        return {**record, "error": None}
    lines = without_thoughts(record["text"]).split("\n")
    at = error["line"] - 1
    start, end = max(0, at - LINES_BEFORE), min(len(lines), at + 1 + LINES_AFTER)
    return {
        **record,
        "error": error,
        "before": lines[start:at],
        "num_before": start,
        "after": lines[at + 1 : end],
        "num_after": len(lines) - end if end < len(lines) else 0,
    }


def _paper(runs: Sequence[Run]) -> dict[str, Any]:
    ours = []
    for index, run in enumerate(runs):
        summary, lengths = run.results["summary"], {n for task in run.results["tasks"] for n in run.cells(task)}
        deviates = deviations(run.results)
        ours.append(
            {"name": run.name, "index": index, "summary": summary, "longest": max(lengths), "deviates": deviates}
        )
    return {"source": SOURCE, "protocol": PROTOCOL, "table": TABLE, "ours": ours}


def _measuring(task: str, runs: Sequence[Run]) -> list[tuple[int, Run]]:
    return [(index, run) for index, run in enumerate(runs) if task in run.results["tasks"]]


def _provenance(run: Run) -> dict[str, Any]:
    """The facts that identify a run, as (label, value) pairs in reading order."""
    results, settings = run.results, run.results["settings"]
    trained = {task: r["trained_lengths"] for task, r in results["tasks"].items() if r["trained_lengths"]}
    left_out = {task: r["left_out"] for task, r in results["tasks"].items() if r["left_out"]}
    capped = sum(cell["capped"] for task in results["tasks"].values() for cell in task["cells"].values())
    timing, engine, budget = results["timing"], results["engine"], settings["budget"]
    facts: dict[str, Any] = {
        "model": _models(results),
        "prompt form": settings["form"] + (", in the tokenizer's chat template" if settings["chat"] else ""),
        "trained on": _by_task(trained) or "not stated by the model",
        "questions": f"split {settings['split']}, up to {settings['samples']} per task and length",
        "tasks": ", ".join(f"{task} v{version}" for task, version in settings["tasks"].items()),
        "engine": f"{engine['version']}, {engine['dtype']}, {engine['device']}, greedy",
        "token budget": _budget(settings["form"], budget),
        "time": "{seconds:.0f} s for {answers} answers, {tokens_per_second:.0f} tokens/s".format(**timing),
        "megatron_rfft": results["megatron_rfft"],
    }
    facts |= {label: str(timing[key]) for key, label in MORE_TIMING.items() if key in timing}
    if left_out:
        facts["lengths left out"] = _by_task(left_out)
    if capped:
        facts["budgets cut by the model's context"] = str(capped)
    return facts


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
