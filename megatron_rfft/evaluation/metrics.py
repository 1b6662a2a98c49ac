"""Accuracy with its uncertainty, and the paper's two summary figures: Max_Len_90% and accuracy at the last length."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist, fmean, variance
from typing import Any

from megatron_rfft.evaluation.steps import count_errors

OUTCOMES = ("correct", "wrong", "token_limit")
SUMMARY_MEANS = ("max_len_90_any", "max_len_90_all", "accuracy_at_longest")
ACCURACY_TARGET = 0.9
Z_95 = NormalDist().inv_cdf(0.975)
# Student's t at 0.975 for 1, 2, ... degrees of freedom; beyond them the last one, which is a little too wide there.
T_95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


def wilson_interval(num_correct: float, num_samples: float, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927): sensible at 0 %, at 100 % and for few samples.

    Its ends are the two ``p`` that solve ``|num_correct / n - p| = z * sqrt(p * (1 - p) / n)``. Without samples
    nothing is known: (0, 1).
    """
    if num_samples == 0:
        return 0.0, 1.0
    proportion = num_correct / num_samples
    scale = 1 + z * z / num_samples
    center = (proportion + z * z / (2 * num_samples)) / scale
    spread = z * math.sqrt(proportion * (1 - proportion) / num_samples + (z / (2 * num_samples)) ** 2) / scale
    low = 0.0 if num_correct == 0 else center - spread  # exact ends where rounding would leave 1e-17
    high = 1.0 if num_correct == num_samples else center + spread
    return low, high


def seeds_interval(accuracies: Sequence[float], num_questions: int) -> tuple[float, float]:
    """The 95 % interval of the mean accuracy of models of several seeds that answered the same questions.

    It is the Wilson interval at an effective number of questions, the seeds being clusters (Korn and Graubard 1998):
    ``p * (1 - p) / v``, where ``v`` is the variance of the mean over seeds, widened from the normal to Student's t for
    so few of them. That number is never above ``num_questions``: more seeds ask no further questions. So one seed has
    its plain Wilson interval, seeds that agree have that of one, and seeds that differ have a wider one.
    """
    mean, effective = fmean(accuracies), float(num_questions)
    if len(accuracies) > 1 and (between := variance(accuracies) / len(accuracies)) > 0:
        widening = (T_95[min(len(accuracies) - 1, len(T_95)) - 1] / Z_95) ** 2
        effective = min(effective, mean * (1 - mean) / (between * widening))
    return wilson_interval(mean * effective, effective)


def score_cell(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Count one task at one length: n, outcomes, accuracy, 95 % interval, generated tokens per answer.

    ``records`` are generation records with ``outcome`` (one of OUTCOMES), ``num_tokens``, ``capped`` and ``budget``. An
    answer that ran into its token budget is a ``token_limit``, never a ``wrong``; both count against the accuracy.
    ``capped`` budgets were cut by the model's context; ``unasked`` prompts fill it and count as token limits. Where
    answers are traces, ``steps`` counts their errors by kind and compares their loop counts with the true ones.
    """
    records = list(records)
    counts = {outcome: sum(record["outcome"] == outcome for record in records) for outcome in OUTCOMES}
    n = len(records)
    counted = [record["num_tokens"] for record in records if record["num_tokens"] is not None]  # not by every server
    return {
        "n": n,
        **counts,
        "accuracy": counts["correct"] / n,
        "interval": list(wilson_interval(counts["correct"], n)),
        "mean_tokens": fmean(counted) if counted else 0.0,
        "capped": sum(record["capped"] for record in records),
        "unasked": sum(record.get("budget") == 0 for record in records),
        **({"steps": steps} if (steps := count_errors(records)) else {}),
    }


def max_length_any(accuracies: Mapping[int, float], target: float = ACCURACY_TARGET) -> int:
    """The largest length with at least ``target`` accuracy, whatever shorter lengths do; 0 if there is none."""
    return max((length for length, accuracy in accuracies.items() if accuracy >= target), default=0)


def max_length_all(accuracies: Mapping[int, float], target: float = ACCURACY_TARGET) -> int:
    """The largest length up to which every measured length has at least ``target`` accuracy; 0 if the first fails."""
    reached = 0
    for length in sorted(accuracies):
        if accuracies[length] < target:
            break
        reached = length
    return reached


def summarize_task(cells: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Summary of one task from its cells by length.

    ``max_len_90_any`` and ``max_len_90_all`` are both readings of the paper's Max_Len_90%.
    """
    accuracies = {length: cell["accuracy"] for length, cell in cells.items()}
    longest = max(accuracies)
    return {
        "max_len_90_any": max_length_any(accuracies),
        "max_len_90_all": max_length_all(accuracies),
        "longest_length": longest,
        "accuracy_at_longest": accuracies[longest],
        **{outcome: sum(cell[outcome] for cell in cells.values()) for outcome in OUTCOMES},
    }


def summarize_run(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the tasks' summaries (paper, section "Evaluation": both figures are means over tasks)."""
    return {key: fmean(summary[key] for summary in tasks.values()) for key in SUMMARY_MEANS}
