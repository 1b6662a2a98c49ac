"""Losses by task and length, summed on the device over many steps and reduced over ranks only when they are read."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from megatron_rfft.mcore import DEVICE, parallel_state


def sum_over_data(totals: torch.Tensor) -> torch.Tensor:
    """``totals`` of the last pipeline stages (zero on the others), summed over the data and known everywhere."""
    torch.distributed.all_reduce(totals, group=parallel_state.get_data_parallel_group(with_context_parallel=True))
    if parallel_state.get_pipeline_model_parallel_world_size() > 1:
        torch.distributed.all_reduce(totals, group=parallel_state.get_pipeline_model_parallel_group())
    return totals


class LossTable:
    """Sum of the losses and number of target tokens of each of ``cells``, (task, length) pairs."""

    def __init__(self, cells: Sequence[tuple[str, int]]):
        self.cells = cells
        self._sums = torch.zeros(2, len(cells), dtype=torch.float64, device=DEVICE)
        """Losses, and target tokens."""

    def add(self, cells: torch.Tensor, losses: torch.Tensor, mask: torch.Tensor) -> None:
        """Add the losses of tokens where ``mask`` is 1, each to its cell; all ``[tokens]``.

        A loss that is not a number is left out: such a batch is skipped (guard), and must not spoil the others.
        """
        counted = mask * losses.isfinite()
        # One row at a time: index_add_ over columns is ten times slower.
        self._sums[0].index_add_(0, cells, (losses.nan_to_num(0.0, 0.0, 0.0) * counted).double())
        self._sums[1].index_add_(0, cells, counted.double())

    def take(self) -> dict[str, dict[int, tuple[float, int]]]:
        """By task and length, mean loss and target tokens since the last time; collective, alike on every rank."""
        sums, tokens = sum_over_data(self._sums).tolist()
        self._sums = torch.zeros_like(self._sums)
        table: dict[str, dict[int, tuple[float, int]]] = {}
        for (task, length), loss_sum, count in zip(self.cells, sums, tokens, strict=True):
            if count:
                table.setdefault(task, {})[length] = (loss_sum / count, int(count))
        return table


def mean_by(table: dict[str, dict[int, tuple[float, int]]], key: Callable[[str, int], Any]) -> dict[Any, float]:
    """Mean loss per target token of the cells that ``key(task, length)`` puts together, sorted."""
    sums: dict[Any, list[float]] = {}
    for task, lengths in table.items():
        for length, (loss, tokens) in lengths.items():
            entry = sums.setdefault(key(task, length), [0.0, 0])
            entry[0] += loss * tokens
            entry[1] += tokens
    return {name: total / tokens for name, (total, tokens) in sorted(sums.items())}


def by_task_and_length(table: dict[str, dict[int, tuple[float, int]]]) -> dict[str, dict[Any, float]]:
    """The two margins of a table, as they are logged."""
    return {
        "loss_by_task": mean_by(table, lambda task, length: task),
        "loss_by_length": mean_by(table, lambda task, length: length),
    }
