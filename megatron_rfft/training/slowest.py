"""Which rank is slow, told from what each computes by itself: together they all take as long as the slowest."""

import statistics
from collections.abc import Sequence
from typing import Any

NOTABLE = 1.1
"""From this many times the median on, a rank is told of."""


def slowest(seconds: Sequence[float], stages: Sequence[int], hosts: Sequence[str]) -> dict[str, Any]:
    """The rank that takes most beside the median of its pipeline stage: other stages hold other layers.

    All are by rank: the ``seconds`` of a step in which it did not wait for others, its stage and its host.
    """
    medians = {stage: statistics.median_low(s for s, of in zip(seconds, stages, strict=True) if of == stage)
               for stage in set(stages)}  # fmt: skip
    ratios = [own / (medians[stage] or 1.0) for own, stage in zip(seconds, stages, strict=True)]
    rank = max(range(len(ratios)), key=ratios.__getitem__)
    return {
        "rank": rank,
        "host": hosts[rank],
        "seconds": round(seconds[rank], 4),
        "median": round(medians[stages[rank]], 4),
        "ratio": round(ratios[rank], 3),
    }


def in_words(row: dict[str, Any]) -> str:
    """The slowest rank of a line of ``ranks.jsonl``; empty if it is not much slower than the others."""
    if not row or row["ratio"] < NOTABLE:
        return ""
    return f"rank {row['rank']} ({row['host']}) computes {row['ratio']:.2f} x as long as the median"
