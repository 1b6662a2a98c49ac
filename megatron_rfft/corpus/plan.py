"""The plan of a corpus: which index of which task and length each record is, known before any is written."""

import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, repeat
from math import gcd
from typing import Any

import numpy as np

from megatron_rfft.corpus.tokens import estimate_tokens
from megatron_rfft.corpus.workers import no_collector
from megatron_rfft.tasks import STYLE_OF_FORM, load_task
from megatron_rfft.tasks.gate import prove_rule
from megatron_rfft.tasks.instances import DistinctInstances
from megatron_rfft.tasks.task import AnyTask

TOKEN_SAMPLES = 2  # examples of a cell whose tokens are estimated for the manifest's statistics
KEPT_BYTES = 128 << 20  # of draws, for a whole plan: 600,000 examples of the paper's tasks
_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True)
class Cell:
    """The records of one task and length: the indices of distinct instances."""

    task: str
    length: int
    samples: int
    """Records asked for."""
    indices: array
    num_duplicates: int = 0
    tokens: tuple[int, int] = (0, 0)
    """Estimated tokens of a prompt and of a response: means over a few examples."""
    most_tokens: int = 0
    """Of the longest example looked at; over the budget, the cell has no indices."""
    kept: list[bytes] | None = None
    """What was drawn for each index (``AnyTask.look``), so that it need not be drawn again; None: it is."""


def plan_cell(
    task_name: str, length: int, samples: int, split: str, form: str = "rule", max_tokens: int | None = None
) -> Cell:
    """The first ``samples`` indices with different instances; fewer where the task has no more of them.

    With ``max_tokens``, none if one of the examples has more tokens, as estimated. Raises UserError if the rule of the
    first one answers differently in a trace and when it is run.
    """
    with no_collector():
        return _plan_cell(load_task(task_name), length, samples, split, form, max_tokens)


def _plan_cell(task: AnyTask, length: int, samples: int, split: str, form: str, max_tokens: int | None) -> Cell:
    instances = DistinctInstances(task, split, length, samples)
    indices = array("L")
    draws: list[bytes] = []
    room = KEPT_BYTES
    for index, drawn in instances:
        indices.append(index)
        if drawn is not None and room >= 0:
            room -= sys.getsizeof(drawn)
            draws.append(drawn)
    kept = draws if len(draws) == len(indices) else None
    if indices and (style := STYLE_OF_FORM.get(form)):
        problem, _ = task.draw(split, length, indices[0])
        prove_rule(problem.rule, problem.arguments, (style,))
    looked_at = indices if max_tokens else indices[:TOKEN_SAMPLES]
    examples = [
        task.example(length, split, i, form, drawn) for i, drawn in zip(looked_at, kept or repeat(None), strict=False)
    ]
    pairs = [(estimate_tokens(example.prompt), estimate_tokens(example.response)) for example in examples]
    count = max(1, len(pairs))
    means = (round(sum(prompt for prompt, _ in pairs) / count), round(sum(response for _, response in pairs) / count))
    most_tokens = max(map(sum, pairs), default=0)
    if max_tokens and most_tokens > max_tokens:
        indices, kept = array("L"), None
    return Cell(task.name, length, samples, indices, instances.num_duplicates, means, most_tokens, kept)


class CorpusPlan:
    """All cells, and the order of their records.

    The order is a fixed permutation that steps through the cells by the golden ratio of the total: every stretch of the
    corpus holds all tasks and lengths in their proportions, and a record's place is computed, not stored.
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.cells: list[Cell] = []
        self._kept: list[list[bytes] | None] = []
        room = KEPT_BYTES
        for cell in cells:
            room -= sum(map(sys.getsizeof, cell.kept or ()))
            self._kept.append(cell.kept if room >= 0 else None)
            self.cells.append(replace(cell, kept=None))
        self._ends = list(accumulate(len(cell.indices) for cell in self.cells))
        self.num_records = self._ends[-1]
        self._stride = max(1, round(self.num_records * _GOLDEN_RATIO))
        while gcd(self._stride, self.num_records) != 1:
            self._stride += 1

    def shard(self, number: int, num_shards: int) -> range:
        """The positions of the records in one shard; shards differ by one record at most."""
        return range(self.num_records * number // num_shards, self.num_records * (number + 1) // num_shards)

    def places(self, positions: range) -> Iterator[tuple[int, str, int, int]]:
        """Position, task, length and index of the records at ``positions`` in the corpus, cell by cell."""
        for number, place, position in self._located(positions):
            cell = self.cells[number]
            yield positions.start + position, cell.task, cell.length, cell.indices[place]

    def kept(self, positions: range) -> list[bytes | None]:
        """What was drawn for each of ``places`` when it was planned; None where it has to be drawn again.

        Known in the process that made the plan: another gets with a shard what that needs, not all.
        """
        found = ((self._kept[number], place) for number, place, _ in self._located(positions))
        return [None if draws is None else draws[place] for draws, place in found]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": [None] * len(self._kept)}

    def _located(self, positions: range) -> Iterator[tuple[int, int, int]]:
        """Cell, place in it and number in ``positions`` of the records there, cell by cell."""
        flat = np.arange(positions.start, positions.stop, dtype=np.int64) * self._stride % self.num_records
        order = np.argsort(flat)
        flat = flat[order]
        cells = np.searchsorted(self._ends, flat, side="right")
        for number, place, position in zip(cells.tolist(), flat.tolist(), order.tolist(), strict=True):
            yield number, place - self._ends[number], position

    def counts(self) -> dict[str, Any]:
        """For the manifest: records of each cell, cells with fewer than asked for or left out, duplicates dropped."""
        cells: dict[str, dict[str, int]] = {}
        smaller: dict[str, dict[str, int]] = {}
        left_out: dict[str, dict[str, int]] = {}
        for cell in self.cells:
            name, length = cell.task, str(cell.length)
            if cell.most_tokens and not cell.indices:
                left_out.setdefault(name, {})[length] = cell.most_tokens
                continue
            cells.setdefault(name, {})[length] = len(cell.indices)
            if len(cell.indices) < cell.samples:
                smaller.setdefault(name, {})[length] = len(cell.indices)
        return {
            "records": self.num_records,
            "duplicates": sum(cell.num_duplicates for cell in self.cells),
            "cells": cells,
            "smaller_cells": smaller,
            "over_token_budget": left_out,
        }

    def token_statistics(self) -> dict[str, Any]:
        """For the manifest: estimated tokens of prompts and responses, in all and for each task and length."""
        cells: dict[str, dict[str, list[int]]] = {}
        totals = [0, 0]
        for cell in self.cells:
            if cell.indices:
                cells.setdefault(cell.task, {})[str(cell.length)] = list(cell.tokens)
                totals = [total + len(cell.indices) * mean for total, mean in zip(totals, cell.tokens, strict=True)]
        about = f"estimated from {TOKEN_SAMPLES} examples of each task and length"
        return {"about": about, "prompt_tokens": totals[0], "response_tokens": totals[1], "means": cells}
