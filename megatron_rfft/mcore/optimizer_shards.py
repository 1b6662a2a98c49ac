"""The distributed optimizer's state in checkpoints: each rank saves and loads the part that it holds, and no more.

megatron-core's ``fully_reshardable`` states describe each parameter whole, as the model does, so that any layout can
load them. To get there, it gathers the whole state of a model-parallel group on each of its ranks, or on one of them.
Here a rank describes what it holds by boxes of the parameter instead: a stretch of a matrix, row after row, is part of
a row, some whole rows, and part of another. Nothing is sent to anyone, the shares are those of the optimizer, equal to
a few bytes, and names and shapes are the same: states that were saved whole are loaded by boxes, too.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from megatron.core.dist_checkpointing import ShardedTensor
from megatron.core.dist_checkpointing.dict_utils import nested_values
from megatron.core.dist_checkpointing.mapping import ShardedTensorFactory
from megatron.core.dist_checkpointing.utils import extract_sharded_tensors_and_factories
from megatron.core.optimizer import distrib_optimizer
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer
from megatron.core.optimizer.optimizer import MegatronOptimizer

Box = tuple[tuple[int, ...], tuple[int, ...]]
"""Offset and size along each axis."""


def boxes(shape: Sequence[int], start: int, stop: int) -> Iterator[Box]:
    """Cut the values ``start`` to ``stop`` of a tensor, row after row, into as few boxes as it takes, in order."""
    row = math.prod(shape[1:])
    first, last = -(-start // row), stop // row  # the whole rows
    if first > last:
        yield from _in_row(shape, last, start, stop)
        return
    if start < first * row:
        yield from _in_row(shape, first - 1, start, first * row)
    if first < last:
        yield (first, *(0,) * (len(shape) - 1)), (last - first, *shape[1:])
    if last * row < stop:
        yield from _in_row(shape, last, last * row, stop)


def _in_row(shape: Sequence[int], number: int, start: int, stop: int) -> Iterator[Box]:
    skipped = number * math.prod(shape[1:])
    for offsets, sizes in boxes(shape[1:], start - skipped, stop - skipped):
        yield (number, *offsets), (1, *sizes)


def install() -> None:
    """Let DistributedOptimizer describe and load its states by boxes."""
    # It collects all garbage with each description, half a second of standing still, for what it no longer gathers.
    distrib_optimizer.gc = SimpleNamespace(collect=lambda: 0)
    DistributedOptimizer.sharded_param_state_fully_reshardable = _sharded_states
    DistributedOptimizer.load_parameter_state_from_fully_reshardable = _take_loaded


def held_weights(optimizer: MegatronOptimizer, weights: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """Of the sharded ``weights``, what a rank saves: of a parameter whose updates are split over data-parallel ranks
    the stretch that this one has updated, which it need not have gathered from the others for that.
    """
    parts = [part for part in getattr(optimizer, "chained_optimizers", [optimizer]) if hasattr(part, "gbuf_ranges")]
    split = {param for part in parts for buffer in part.buffers for param in buffer.param_index_map}
    held = {param: (start, stop) for part in parts for _, param, start, stop in _held(part)}
    return {key: [_held_of(chunk, split, held) for chunk in chunks] for key, chunks in weights.items()}


def _held_of(chunk: dict[str, Any], split: set[Tensor], held: dict[Tensor, tuple[int, int]]) -> dict[str, Any]:
    found = {}
    for name, described in chunk.items():
        param = described.data
        if not isinstance(param, Tensor) or param not in split:
            found[name] = described
        elif param in held:
            start, stop = held[param]
            found[name] = _cut(_whole_parts(described), "", param.detach().view(-1)[start:stop], start, stop)
    return found


def _sharded_states(
    self: DistributedOptimizer, model_state: dict, is_loading: bool = False, metadata: dict | None = None
) -> dict[int, dict[str, list[ShardedTensor]]]:
    """By number of the parameter: its main weights' and moments' boxes, views of the optimizer's own tensors."""
    described = {part.data: part for part in nested_values(extract_sharded_tensors_and_factories(model_state)[0])}
    found = {}
    for number, param, start, stop in _held(self):
        values = self._get_main_param_and_optimizer_states(param)
        parts = _whole_parts(described[param])
        prefixes = {key: f"optimizer.state.{key}." for key in _keys(self)}
        found[number] = {key: _cut(parts, prefixes[key], values[key].detach(), start, stop) for key in prefixes}
    return found


@torch.no_grad()
def _take_loaded(self: DistributedOptimizer, loaded: dict[int, dict[str, list[Tensor]]]) -> None:
    """Keep what was loaded into the boxes: it is in place, unless setting the optimizer up has changed its tensors."""
    for number, param, _, _ in _held(self):
        values = self._get_main_param_and_optimizer_states(param)
        for key in _keys(self):
            place = 0
            for box in loaded[number][key]:
                target = values[key].view(-1)[place : place + box.numel()]
                if target.data_ptr() != box.data_ptr():
                    target.copy_(box.view(-1))
                place += box.numel()


def _keys(optimizer: DistributedOptimizer) -> tuple[str, ...]:
    return ("param", *optimizer.optimizer_state_keys)


def _held(optimizer: DistributedOptimizer) -> Iterator[tuple[int, torch.nn.Parameter, int, int]]:
    """Number, parameter, and the values of it, from and to, that this rank updates."""
    number = 0
    for by_type in optimizer.gbuf_ranges:
        for buckets in by_type.values():
            for bucket in buckets:
                for param, ranges in bucket["param_map"].items():
                    yield number, param, ranges["param"].start, ranges["param"].end
                    number += 1


def _whole_parts(described: ShardedTensor | ShardedTensorFactory) -> list[tuple[int, ShardedTensor]]:
    """What a parameter is stored as (a gated MLP's first matrix as two), each with its first value's place in it."""
    if isinstance(described, ShardedTensor):
        return [(0, described)]
    parts = list(nested_values({"": described.build()}))
    first = described.data.storage_offset()
    assert all(part.data.is_contiguous() for part in parts), described.key
    return [(part.data.storage_offset() - first, part) for part in parts]


def _cut(
    parts: list[tuple[int, ShardedTensor]], prefix: str, values: Tensor, start: int, stop: int
) -> list[ShardedTensor]:
    """``values``, which are those from ``start`` to ``stop`` of a parameter, as boxes of its ``parts``."""
    found, place = [], 0
    for begin, part in sorted(parts, key=lambda entry: entry[0]):
        shape = part.local_shape
        low, high = max(start - begin, 0), min(stop - begin, math.prod(shape))
        for offsets, sizes in boxes(shape, low, high) if low < high else ():
            size = math.prod(sizes)
            found.append(_box(part, prefix, values.view(-1)[place : place + size], offsets, sizes))
            place += size
    assert place == values.numel(), parts
    return found


def _box(part: ShardedTensor, prefix: str, values: Tensor, offsets: tuple, sizes: tuple) -> ShardedTensor:
    stacked = part.prepend_axis_num
    shape = (1,) * stacked + sizes
    places = zip(part.global_offset[stacked:], offsets, strict=True)
    changed: dict[str, Any] = {
        "key": prefix + part.key,
        "data": values.view(shape),
        "dtype": values.dtype,
        "local_shape": shape,
        "global_offset": part.global_offset[:stacked] + tuple(base + offset for base, offset in places),
        "prepend_axis_num": 0,
        "axis_fragmentations": None,  # boxes are no grid
        "replica_id": (*part.replica_id[:-1], 0),  # no other data-parallel rank has them
    }
    return replace(part, **changed)
