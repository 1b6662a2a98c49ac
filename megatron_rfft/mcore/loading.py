"""Sharded states read by threads, straight to where they stay.

torch's own reader takes one tensor after the other, each through two copies in memory, and opens whatever pickle it
finds. This one reads only the rows that are wanted, in the index and the descriptions of tensors only what belongs
there, and goes to where the values are without a copy in between where they are on the host.
"""

import io
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import FileSystemReader, LoadPlan, LoadPlanner, Metadata, ReadItem
from torch.distributed.checkpoint.planner import LoadItemType
from torch.futures import Future

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restricted import StoredTensor, Window, locate_tensor, read_index

from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing import serialization
from megatron.core.dist_checkpointing.strategies import torch as torch_strategy
from megatron.core.dist_checkpointing.strategies.fully_parallel import FullyParallelLoadStrategyWrapper

THREADS = 4
"""Files that a rank reads at a time."""
_PIECE = 1 << 26  # bytes of a thread's buffer


def install() -> None:
    """Let megatron-core read sharded states by StateReader."""
    for module in (torch_strategy, serialization):
        module._get_filesystem_reader = lambda folder, *args, **kwargs: StateReader(folder)


def load_state(state: dict, folder: Path, *, replicated: bool) -> dict:
    """Load the sharded ``state`` from ``folder``; collective.

    ``replicated``: every data-parallel rank wants the same. Then each reads its share, and gets the others' from them.
    """
    strategy = torch_strategy.TorchDistLoadShardedStrategy()
    if replicated:
        group = parallel_state.get_data_parallel_group(with_context_parallel=True)
        strategy = FullyParallelLoadStrategyWrapper(strategy, group)
    return dist_checkpointing.load(state, str(folder), strategy)


class StateReader(FileSystemReader):
    """Reads what a plan of torch's distributed checkpoints asks for."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        return read_index(Path(self.path))

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        by_file: dict[str, list[tuple[ReadItem, Tensor | None]]] = {}
        for item in plan.items:
            target = None if item.type is LoadItemType.BYTE_IO else planner.resolve_tensor(item).detach()
            by_file.setdefault(self.storage_data[item.storage_index].relative_path, []).append((item, target))
        with ThreadPoolExecutor(THREADS) as pool:
            objects = [entry for found in pool.map(self._read_file, by_file, by_file.values()) for entry in found]
        for item, content in objects:
            planner.load_bytes(item, io.BytesIO(content))
        for item, target in (entry for entries in by_file.values() for entry in entries):
            if target is not None:
                planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _read_file(self, name: str, wanted: list[tuple[ReadItem, Tensor | None]]) -> list[tuple[ReadItem, bytes]]:
        """Fill the targets of what is wanted of a file; the contents of the objects among it."""
        objects = []
        with open(Path(self.path) / name, "rb") as handle:
            for item, target in sorted(wanted, key=lambda entry: self.storage_data[entry[0].storage_index].offset):
                place = self.storage_data[item.storage_index]
                window = Window(handle, place.offset, place.length)
                if target is None:
                    objects.append((item, window.read()))
                elif (stored := locate_tensor(window)) is None:  # not how torch's own writer lays them out
                    whole = torch.load(io.BytesIO(window.read()), map_location="cpu", weights_only=True)
                    slices = zip(item.storage_offsets, item.lengths, strict=True)
                    target.copy_(whole[tuple(slice(first, first + size) for first, size in slices)])
                else:
                    _fill(target, handle, replace(stored, offset=place.offset + stored.offset), item)
        return objects


def _fill(target: Tensor, handle: IO[bytes], stored: StoredTensor, item: ReadItem) -> None:
    """Read the box that ``item`` names of ``stored`` into ``target``: of what lies between, whole rows at most."""
    shape, first, sizes = stored.shape or (1,), tuple(item.storage_offsets) or (0,), tuple(item.lengths) or (1,)
    while len(shape) > 1 and shape[0] == 1:  # the axis of layers
        shape, first, sizes = shape[1:], first[1:], sizes[1:]
    target = target.view(sizes)
    row_bytes = math.prod(shape[1:]) * stored.dtype.itemsize
    place = stored.offset + first[0] * row_bytes
    if sizes[1:] == shape[1:] and target.is_cpu and target.is_contiguous() and target.dtype == stored.dtype:
        _read(handle, target, place)
        return
    rows = max(1, _PIECE // row_bytes)
    buffer = torch.empty((min(rows, sizes[0]), *shape[1:]), dtype=stored.dtype)
    for start in range(0, sizes[0], rows):
        block = buffer[: min(rows, sizes[0] - start)]
        _read(handle, block, place + start * row_bytes)
        for axis in range(1, len(shape)):
            block = block.narrow(axis, first[axis], sizes[axis])
        target[start : start + rows].copy_(block)


def _read(handle: IO[bytes], target: Tensor, offset: int) -> None:
    view = memoryview(target.view(-1).view(torch.uint8).numpy())
    while len(view):
        count = os.preadv(handle.fileno(), [view], offset)
        if count == 0:
            raise UserError(f"{handle.name} ends too early; use another checkpoint")
        view, offset = view[count:], offset + count
