"""The plan of a corpus: which index of which task and length each record is, known before any is written."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from math import gcd
from typing import Any

import numpy as np

from megatron_rfft.corpus.tokens import estimate_tokens
from megatron_rfft.tasks import STYLE_OF_FORM, NoInstanceError, load_task
from megatron_rfft.tasks.gate import prove_rule

TOKEN_SAMPLES = 2  # examples of a cell whose tokens are estimated for the manifest's statistics
_TRIES = 4  # indices looked at for each sample asked for, before a cell stays smaller
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


def plan_cell(
    task_name: str, length: int, samples: int, split: str, form: str = "rule", max_tokens: int | None = None
) -> Cell:
    """The first ``samples`` indices with different instances; fewer where the task has no more of them.

    With ``max_tokens``, none if one of the examples has more tokens, as estimated. Raises UserError if the rule of the
    first one answers differently in a trace and when it is run.
    """
    task = load_task(task_name)
    seen: set[bytes] = set()
    indices = array("L")
    num_duplicates = 0
    for index in range(_TRIES * samples):
        if len(indices) == samples:
            break
        try:
            key = blake2b(task.instance_key(split, length, index), digest_size=16).digest()
        except NoInstanceError:
            break
        if key in seen:
            num_duplicates += 1
        else:
            seen.add(key)
            indices.append(index)
    if indices and (style := STYLE_OF_FORM.get(form)):
        problem, _ = task.draw(split, length, indices[0])
        prove_rule(problem.rule, problem.arguments, (style,))
    looked_at = indices if max_tokens else indices[:TOKEN_SAMPLES]
    examples = [task.example(length, split, index, form) for index in looked_at]
    pairs = [(estimate_tokens(example.prompt), estimate_tokens(example.response)) for example in examples]
    count = max(1, len(pairs))
    means = (round(sum(prompt for prompt, _ in pairs) / count), round(sum(response for _, response in pairs) / count))
    most_tokens = max(map(sum, pairs), default=0)
    if max_tokens and most_tokens > max_tokens:
        indices = array("L")
    return Cell(task_name, length, samples, indices, num_duplicates, means, most_tokens)


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

    def places(self, positions: range) -> Iterator[tuple[int, str, int, int]]:
        """Position, task, length and index of the records at ``positions`` in the corpus, cell by cell."""
        flat = np.arange(positions.start, positions.stop, dtype=np.int64) * self._stride % self.num_records
        order = np.argsort(flat)
        flat = flat[order]
        cells = np.searchsorted(self._ends, flat, side="right")
        for number, place, position in zip(cells.tolist(), flat.tolist(), order.tolist(), strict=True):
            cell = self.cells[number]
            yield positions.start + position, cell.task, cell.length, cell.indices[place - self._ends[number]]

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
