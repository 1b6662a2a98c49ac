"""Sharded states written by threads, while training goes on.

megatron-core's own background saving forks a process: it duplicates one that holds CUDA, NCCL and gloo threads in
whatever state they are in, reports a failed write as a lost message, and leaves a writer behind when the trainer is
killed. Threads have none of this, and cost little: copying, hashing and writing release the interpreter's lock.
What comes from megatron-core is the plan (who writes what) and the file format.
"""

import copy
import io
import math
import pickle
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex
from torch.distributed.checkpoint.planner import WriteItem, WriteItemType

from megatron_rfft.common.files import atomic_write
from megatron_rfft.common.hashed_file import HashedFile, hashed_file
from megatron_rfft.common.tensor_file import write_tensor
from megatron_rfft.mcore.pinned import pinned

from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.core import CheckpointingConfig, save_config
from megatron.core.dist_checkpointing.dict_utils import dict_list_map_outplace, nested_values
from megatron.core.dist_checkpointing.mapping import ShardedTensor
from megatron.core.dist_checkpointing.state_dict_utils import save_preprocess
from megatron.core.dist_checkpointing.strategies import torch as torch_strategy
from megatron.core.dist_checkpointing.strategies.filesystem_async import FileSystemWriterAsync
from megatron.core.dist_checkpointing.strategies.fully_parallel import FullyParallelSaveStrategyWrapper
from megatron.core.dist_checkpointing.strategies.state_dict_saver import save_state_dict_async_plan

OPTIMIZER = "optimizer"
"""What names of the optimizer's states and of their files begin with: whoever wants weights alone leaves them out."""
FILE_BYTES = 2 << 30
"""A rank's share is cut into files of about this size: each is written, and later verified, by a thread of its own."""
CHECKSUMS = "xxh3_128"
"""How these files' checksums are taken: SHA-256 would keep as many cores busy as writing does."""
THREADS = 4
"""Files that a rank writes at a time."""
_PIECE = 1 << 26  # bytes between two looks at whether to go on
_ALIGNMENT = 64


@dataclass
class _Entry:
    """A tensor or an object that this rank writes; ``view`` is its place in the host copy."""

    item: WriteItem
    view: Tensor | None = None

    @property
    def is_tensor(self) -> bool:
        return self.item.type is not WriteItemType.BYTE_IO

    @property
    def size(self) -> int:
        """Bytes of the values; 0 for an object."""
        data = self.item.tensor_data
        return math.prod(data.chunk.sizes) * data.properties.dtype.itemsize if self.is_tensor else 0


@dataclass
class _File:
    name: str
    entries: list[_Entry] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """What a rank has written: the checksum by file, and (offset, length) of each entry; or why it could not."""

    checksums: dict[str, str]
    places: list[list[tuple[int, int]]]
    error: str | None


class StateSaver:
    """Saves states of the same structure again and again: each rank writes its share, copied to memory of its own.

    The first save plans who writes what, with all ranks, and takes the memory; the others only copy. There is one save
    at a time. ``content`` says what the states are, for who loads them. ``weights`` is the part of the state whose
    tensors stay where they are, and whose objects stay as they are, as long as the saver is used.
    """

    def __init__(self, content: dict[str, Any], weights: dict | None = None):
        self._content, self._weights = content, weights or {}
        self._files: list[_File] | None = None
        self._plans: list[list[_File]] = []  # of every rank, on the first
        self._metadata: Metadata | None = None
        self._memory = torch.empty(0, dtype=torch.uint8)
        self._weight_objects: dict[MetadataIndex, bytes] = {}

    @cached_property
    def _weight_values(self) -> dict[MetadataIndex, Any]:
        return _values(_copied(self._weights))

    @property
    def host_bytes(self) -> int:
        """Size of this rank's copy: with it, a save holds the state once more and nothing else."""
        return self._memory.numel()

    def start(self, state: dict, folder: Path) -> "StateWriter":
        """Copy this rank's share of ``state`` and of the weights, and begin to write it below ``folder``; the first
        time, collective.

        When it returns, training may change both.
        """
        if self._files is None:
            self._plan(_copied({**self._weights, **state}), folder)
        objects = self._copy(state)
        return StateWriter(folder, self._files, objects)

    def write_index(self, folder: Path, parts: Sequence[Part]) -> None:
        """On the first rank, when all have written: the index of every rank's part."""
        storage = {}
        for files, part in zip(self._plans, parts, strict=True):
            for file, places in zip(files, part.places, strict=True):
                for entry, place in zip(file.entries, places, strict=True):
                    storage[entry.item.index] = _StorageInfo(file.name, *place)
        write_state_index(folder, self._metadata.state_dict_metadata, storage)

    def _plan(self, state: dict, folder: Path) -> None:
        planner = _Planner()
        group = parallel_state.get_data_parallel_group(with_context_parallel=True)
        strategy = FullyParallelSaveStrategyWrapper(planner, group)
        dist_checkpointing.save(
            state,
            str(folder),
            strategy,
            async_sharded_save=True,
            content_metadata=dict(self._content),
            async_strategy="mcore",
        )
        self._files, self._metadata = _cut_into_files(planner.items, torch.distributed.get_rank()), planner.metadata
        if self._metadata is not None:
            plans = self._metadata.all_local_plans
            self._plans = [_cut_into_files(plan.items, rank) for rank, plan in enumerate(plans)]
        tensors = [entry for file in self._files for entry in file.entries if entry.is_tensor]
        sizes = [-(-entry.size // _ALIGNMENT) * _ALIGNMENT for entry in tensors]
        self._memory = pinned(torch.empty(sum(sizes), dtype=torch.uint8))
        for entry, room in zip(tensors, self._memory.split(sizes), strict=True):
            data = entry.item.tensor_data
            entry.view = room[: entry.size].view(data.properties.dtype).view(data.chunk.sizes)

    def _copy(self, state: dict) -> dict[MetadataIndex, bytes]:
        """Copy the tensors in one pass and one wait; the objects, as bytes."""
        changing = _values({**state, "content_metadata": dict(self._content)})
        values = self._weight_values | changing
        objects = {}
        for entry in (entry for file in self._files for entry in file.entries):
            index = entry.item.index
            if entry.is_tensor:
                entry.view.copy_(values[index].detach().view(entry.view.shape), non_blocking=True)
            elif index in changing:
                objects[index] = _saved(values[index])
            else:
                if index not in self._weight_objects:
                    self._weight_objects[index] = _saved(values[index])
                objects[index] = self._weight_objects[index]
        torch.cuda.synchronize()
        return objects


def _copied(state: dict) -> dict:
    """The same tensors, described anew: megatron-core writes into descriptions."""
    return dict_list_map_outplace(copy.copy, state)


def _values(state: dict) -> dict[MetadataIndex, Any]:
    """By their places in the index: tensors, objects, and what is neither."""
    sharded, common = save_preprocess(state, validate_access_integrity=False)
    values: dict[MetadataIndex, Any] = {MetadataIndex("common_state/shard_0_1"): common}
    for part in nested_values(sharded):
        is_tensor = isinstance(part, ShardedTensor)
        index = MetadataIndex(part.key, part.global_offset) if is_tensor else MetadataIndex(part.unique_key)
        values[index] = part.data
    return values


def _saved(value: Any) -> bytes:
    """As megatron-core stores what is not a tensor."""
    buffer = io.BytesIO()
    torch.save([value], buffer)
    return buffer.getvalue()


def write_state_index(folder: Path, tensors: dict[str, Any], storage: dict[MetadataIndex, _StorageInfo]) -> None:
    """Write ``.metadata`` and ``metadata.json`` over finished files; equal ones give equal bytes."""
    with atomic_write(folder / ".metadata", "wb") as handle:
        pickle.dump(Metadata(tensors, storage_data=storage, version="1.0.0"), handle)
    save_config(CheckpointingConfig("torch_dist"), str(folder))


def _cut_into_files(items: Sequence[WriteItem], rank: int) -> list[_File]:
    """A rank's files, a pure function of its plan: weights and objects apart from the optimizer's states."""
    files: list[_File] = []
    for prefix in ("", OPTIMIZER):
        entries = [_Entry(item) for item in items if item.index.fqn.startswith(f"{OPTIMIZER}.") == bool(prefix)]
        total = sum(entry.size for entry in entries) or 1
        count, position, current = max(1, round(total / FILE_BYTES)), 0, -1
        for entry in entries:
            middle = min(2 * position + entry.size, 2 * total - 1)
            if (number := middle * count // (2 * total)) > current:
                files.append(_File(f"{prefix}__{rank}_{len(files)}.distcp"))
                current = number
            files[-1].entries.append(entry)
            position += entry.size
    return files


class _Planner(torch_strategy.TorchDistSaveShardedStrategy):
    """megatron-core's strategy as far as the plan: what this rank is to write, and on the first rank the index."""

    def async_save(self, state: dict, folder: Path, async_strategy: str) -> SimpleNamespace:
        by_key, _, _ = torch_strategy._replace_state_dict_keys_with_sharded_keys(state, keep_only_main_replica=True)
        planner = torch_strategy.MCoreSavePlanner(
            dedup_replicated_tensors=False, flatten_state_dict=False, flatten_sharded_tensors=False
        )
        answer = save_state_dict_async_plan(
            torch_strategy.mcore_to_pyt_state_dict(by_key), _NoWriter(folder), None, 0, planner=planner
        )
        (_, self.metadata, _), plan, *_ = answer
        self.items = plan.items
        return SimpleNamespace(finalize_fns=[])


class _NoWriter(FileSystemWriterAsync):
    """Copies nothing: megatron-core's would clone every view."""

    def prepare_write_data(self, plan, planner) -> None:
        pass


def _reason(error: BaseException) -> str:
    """What the disk said, below what others make of it."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError):
            return found.strerror or str(found)
        found = found.__cause__ or found.__context__
    return f"{type(error).__name__}: {error}"


class _Cancelled(Exception):
    """Nobody wants the file any more."""


class StateWriter:
    """This rank's share, being written by threads."""

    def __init__(self, folder: Path, files: Sequence[_File], objects: dict[MetadataIndex, bytes]):
        self._folder, self._files, self._objects = folder, files, objects
        self.bytes = sum(entry.size for file in files for entry in file.entries)
        """What is to be written."""
        self._written, self._places, self._checksums = [[0] * len(files) for _ in range(3)]
        self._error: Exception | None = None
        self._cancelled = False
        left = deque(range(len(files)))
        # Daemons: a run that fails meanwhile does not wait for them.
        self._threads = [
            threading.Thread(target=self._write, args=(left,), daemon=True) for _ in range(min(THREADS, len(files)))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        """Whether this rank's share is on disk, or has failed."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def bytes_written(self) -> int:
        """How far it is."""
        return sum(self._written)

    def cancel(self) -> None:
        """Stop writing, soon: what is there is of no use. Returns when no thread writes any more."""
        self._cancelled = True
        for thread in self._threads:
            thread.join()

    def part(self) -> Part:
        """What was written, when it ``is_done``."""
        if self._error is not None:
            return Part({}, [], _reason(self._error))
        checksums = dict(zip((file.name for file in self._files), self._checksums, strict=True))
        return Part(checksums, list(self._places), None)

    def _write(self, left: deque[int]) -> None:
        try:
            while True:
                try:
                    number = left.popleft()
                except IndexError:
                    return
                self._places[number], self._checksums[number] = self._write_file(number)
        except Exception as error:  # whatever it is, the next step raises it on every rank
            self._error = self._error or error
            left.clear()

    def _write_file(self, number: int) -> tuple[list[tuple[int, int]], str]:
        places = []
        with hashed_file(self._folder / self._files[number].name, CHECKSUMS) as file:
            for entry in self._files[number].entries:
                start = file.position
                self._append(file, entry, number)
                places.append((start, file.position - start))
        return places, file.checksum

    def _append(self, file: HashedFile, entry: _Entry, number: int) -> None:
        if entry.is_tensor:
            values = self._pieces(entry.view, number)
            write_tensor(file, entry.item.tensor_data.chunk.sizes, entry.view.dtype, values, crc=False)
        else:
            file.write(self._objects[entry.item.index])

    def _pieces(self, values: Tensor, number: int) -> Iterator[memoryview]:
        content, size = memoryview(values.view(-1).view(torch.uint8).numpy()), _PIECE
        for start in range(0, len(content), size):
            if self._cancelled:
                raise _Cancelled
            piece = content[start : start + size]
            yield piece
            self._written[number] += len(piece)
