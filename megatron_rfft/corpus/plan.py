"""The plan of a corpus: which index of which task and length each record is, known before any is written."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from math import gcd
from typing import Any

from megatron_rfft.tasks import NoInstanceError, load_task
from megatron_rfft.tasks.instances import draw_instance, instance_key

_TRIES = 4  # indices looked at for each sample asked for, before a cell stays smaller
_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True)
class Cell:
    """The records of one task and length: the indices of distinct instances."""

    task: str
    length: int
    indices: array
    num_duplicates: int


def plan_cell(task_name: str, length: int, split: str, samples: int) -> Cell:
    """The first ``samples`` indices with different arguments; fewer where the task has no more of them."""
    task = load_task(task_name)
    seen: set[bytes] = set()
    indices = array("L")
    num_duplicates = 0
    for index in range(_TRIES * samples):
        if len(indices) == samples:
            break
        try:
            arguments, _ = draw_instance(task, split, length, index)
        except NoInstanceError:
            break
        key = blake2b(instance_key(arguments).encode(), digest_size=16).digest()
        if key in seen:
            num_duplicates += 1
        else:
            seen.add(key)
            indices.append(index)
    return Cell(task_name, length, indices, num_duplicates)


class Plan:
    """All cells, and the order of their records.

    The order is a fixed permutation that steps through the cells by the golden ratio of the total: every stretch of the
    corpus holds all tasks and lengths in their proportions, and a record's place is computed, not stored.
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.cells = list(cells)
        self._ends = list(accumulate(len(cell.indices) for cell in self.cells))
        self.num_records = self._ends[-1]
        self._stride = max(1, round(self.num_records * _GOLDEN_RATIO))
        while gcd(self._stride, self.num_records) != 1:
            self._stride += 1

    def shard(self, number: int, num_shards: int) -> range:
        """The positions of the records in one shard; shards differ by one record at most."""
        return range(self.num_records * number // num_shards, self.num_records * (number + 1) // num_shards)

    def locate(self, position: int) -> tuple[str, int, int]:
        """Task, length and index of the record at ``position`` in the corpus."""
        flat = position * self._stride % self.num_records
        number = bisect_right(self._ends, flat)
        cell = self.cells[number]
        return cell.task, cell.length, cell.indices[flat - self._ends[number]]

    def counts(self, samples: int) -> dict[str, Any]:
        """For the manifest: records of each cell, the cells with fewer than ``samples``, and duplicates left out."""
        cells: dict[str, dict[str, int]] = {}
        smaller: dict[str, dict[str, int]] = {}
        for cell in self.cells:
            cells.setdefault(cell.task, {})[str(cell.length)] = len(cell.indices)
            if len(cell.indices) < samples:
                smaller.setdefault(cell.task, {})[str(cell.length)] = len(cell.indices)
        duplicates = sum(cell.num_duplicates for cell in self.cells)
        return {"records": self.num_records, "duplicates": duplicates, "cells": cells, "smaller_cells": smaller}
