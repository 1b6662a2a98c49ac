"""Results as a compact text table for the terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from megatron_rfft.common import table
from megatron_rfft.data.splits import warn_of_asked
from megatron_rfft.evaluation.metrics import OUTCOMES
from megatron_rfft.evaluation.steps import kind_totals


def format_table(results: Mapping[str, Any]) -> str:
    """Accuracy in percent by task and length, the summary figures, and notes on what is missing or was cut."""
    tasks = results["tasks"]
    lengths = sorted({int(length) for task in tasks.values() for length in task["cells"]})
    header = ["accuracy in %", *map(str, lengths), "Max_Len_90%"]
    rows = []
    for name, task in tasks.items():
        cells = [task["cells"].get(str(length)) for length in lengths]
        accuracy = [f"{100 * cell['accuracy']:.0f}" if cell else "·" for cell in cells]
        rows.append([name, *accuracy, _max_length(task["summary"])])
    return "\n".join([table.format_table(header, rows), "", *_notes(results)])


def warn_of(results: Mapping[str, Any]) -> str | None:
    """What makes a run's figures worthless: that no answer came to its end, or that its questions were trained on."""
    return "; ".join(filter(None, [_warn_of_limits(results), *_warn_of_training(results)])) or None


def _warn_of_training(results: Mapping[str, Any]) -> Iterator[str]:
    settings = results["settings"]
    for measured in results.get("seeds", {"": results}).values():
        models = measured["models"].values() if "models" in measured else [measured["model"]]
        manifests = [model["manifest"] for model in models if model.get("manifest")]
        if warning := warn_of_asked(
            [part for manifest in manifests for part in manifest.get("data", ())], settings["split"], settings["tasks"]
        ):
            yield warning


def _warn_of_limits(results: Mapping[str, Any]) -> str | None:
    totals = Counter()
    for task in results["tasks"].values():
        totals.update({outcome: task["summary"][outcome] for outcome in OUTCOMES})
    if totals["token_limit"] < totals.total():
        return None
    return (
        f"all {totals.total()} answers ran into their token limit: the model may end its answers by another token "
        "(eos_token_id of its generation_config.json), or want --chat or more --max-tokens"
    )


def _max_length(summary: Mapping[str, Any]) -> str:
    """The reading that all shorter lengths hold too; the other in brackets where it differs."""
    strict, loose = summary["max_len_90_all"], summary["max_len_90_any"]
    return str(strict) if strict == loose else f"{strict} (with gaps {loose})"


def _notes(results: Mapping[str, Any]) -> list[str]:
    totals = {outcome: sum(task["summary"][outcome] for task in results["tasks"].values()) for outcome in OUTCOMES}
    notes = ["answers: " + ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in totals.items())]
    kinds = Counter()
    for task in results["tasks"].values():
        kinds.update(kind_totals(task["cells"]))
    if kinds:
        notes.append("first errors: " + "; ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    samples = results["settings"]["samples"]
    for name, task in results["tasks"].items():
        if task["left_out"]:
            notes.append(f"{name}: no questions of length {', '.join(map(str, task['left_out']))}")
        if few := [f"{cell['n']} of length {length}" for length, cell in task["cells"].items() if cell["n"] < samples]:
            notes.append(f"{name}: fewer than {samples} questions exist: {', '.join(few)}")
    if capped := sum(cell["capped"] for task in results["tasks"].values() for cell in task["cells"].values()):
        notes.append(f"the model's context length cut the token budget of {capped} questions")
    return notes
