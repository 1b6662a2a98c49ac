"""The paper's own summary figures (arXiv:2502.11525, table 2), to be shown beside measured ones and named as its."""

from collections.abc import Mapping
from typing import Any

from megatron_rfft.evaluation.runs import Run
from megatron_rfft.tasks import list_tasks

SOURCE = "arXiv:2502.11525, table 2"
PROTOCOL = "12 held-out tasks, lengths 2, 4, …, 30, 100 questions per length and task, greedy decoding"
LONGEST = 30
# method, model, accuracy at length 30, Max_Len_90%
TABLE = (
    ("direct answer", "Qwen2.5-7B", 0.16, 6.00),
    ("scratchpad", "Qwen2.5-7B", 0.30, 7.50),
    ("vanilla RFFT", "Qwen2.5-7B", 0.40, 9.33),
    ("Meta-RFFT", "Qwen2.5-7B", 0.77, 21.17),
    ("direct answer", "Qwen2.5-32B", 0.30, 12.67),
    ("scratchpad", "Qwen2.5-32B", 0.41, 11.17),
    ("vanilla RFFT", "Qwen2.5-32B", 0.67, 18.17),
    ("Meta-RFFT", "Qwen2.5-32B", 0.98, 30.00),
    ("prompted", "DeepSeek-R1-671B", 0.84, 19.17),
    ("prompted", "QwQ-32B", 0.79, 19.33),
)


def beside_the_paper(run: Run) -> dict[str, Any]:
    """A run's row: ``summary``, the ``longest`` length, ``seeds``, and how it ``deviates`` from the paper's protocol.

    The wordings are this project's own in any case: the paper's are not published.
    """
    results = run.results
    lengths = {length for task in results["tasks"] for length in run.cells(task)}
    return {
        "name": run.name,
        "summary": results["summary"],
        "longest": max(lengths),
        "seeds": len(run.seeds) or 1,
        "deviates": _deviations(results, lengths),
    }


def _deviations(results: Mapping[str, Any], lengths: set[int]) -> list[str]:
    settings, found = results["settings"], []
    if set(results["tasks"]) != set(list_tasks(role="held-out")):
        found.append(_count(len(results["tasks"]), "task"))
    if lengths != set(range(2, LONGEST + 1, 2)):
        found.append(f"lengths {min(lengths)} to {max(lengths)}")
    if settings["samples"] != 100:
        found.append(_count(settings["samples"], "question"))
    if settings["form"] == "lean":
        found.append("shorter traces (lean)")
    return found


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("s" if number != 1 else "")
