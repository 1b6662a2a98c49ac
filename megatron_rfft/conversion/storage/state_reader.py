"""Find and read single parameters of a sharded (torch distributed) checkpoint: no process group, no model."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorStorageMetadata

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restricted import StoredTensor, Window, locate_tensor, read_index
from megatron_rfft.conversion.storage.stored import SourceFile, Span, Stored, bytes_of


class ShardedStateReader:
    """The model's tensors in a folder of torch's sharded format; nothing in it is trusted.

    Names lose ``prefix`` (what has another one is left out). Threads may read at the same time. Raises UserError for
    whatever is damaged or foreign.
    """

    def __init__(self, folder: Path, prefix: str = ""):
        self._folder, self._prefix = folder, prefix
        index = read_index(folder)
        ours = {name: entry for name, entry in index.state_dict_metadata.items() if name.startswith(prefix)}
        self._storage = index.storage_data
        paths = {folder / place.relative_path for place in index.storage_data.values()}
        self.files = {path: SourceFile(path) for path in paths}
        """By path, all that is read here."""
        self._tensors = {
            name.removeprefix(prefix): entry
            for name, entry in ours.items()
            if isinstance(entry, TensorStorageMetadata) and not name.startswith("optimizer.")
        }

    @property
    def names(self) -> set[str]:
        """Names of the model's parameters, layers stacked."""
        return set(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of ``name``, with the axis of layers where these are stacked."""
        return tuple(self._tensors[name].size)

    def dtype(self, name: str) -> torch.dtype:
        """The number format of ``name``."""
        return self._tensors[name].properties.dtype

    def _chunks(self, name: str, layer: int | None) -> list[ChunkStorageMetadata]:
        return [chunk for chunk in self._tensors[name].chunks if layer is None or chunk.offsets[0] == layer]

    def stored(self, name: str, layer: int | None) -> Stored:
        """The full parameter ``name`` (of ``layer``, where layers are stacked) where it lies."""
        shape = self.shape(name)[0 if layer is None else 1 :]
        return Stored(shape, self.dtype(name), lambda: self.read(name, layer), self._spans(name, layer, shape))

    def _spans(self, name: str, layer: int | None, shape: tuple[int, ...]) -> list[Span] | None:
        """Where the rows lie one after the other; None if some are cut into parts, or lie in no known way."""
        found, rows = [], 0
        for chunk in sorted(self._chunks(name, layer), key=lambda chunk: tuple(chunk.offsets)):
            first, sizes = tuple(chunk.offsets)[-len(shape) :], tuple(chunk.sizes)[-len(shape) :]
            if (
                first != (rows, *(0,) * (len(shape) - 1))
                or sizes[1:] != shape[1:]
                or chunk.sizes.numel() != prod(sizes)
            ):
                return None
            if (span := self._locate(name, chunk)) is None:
                return None
            found.append(span)
            rows += sizes[0]
        return found if rows == shape[0] else None

    def read(self, name: str, layer: int | None) -> Tensor:
        """The full parameter ``name`` (of ``layer``, where layers are stacked), put together from its shards."""
        entry = self._tensors[name]
        shape = entry.size if layer is None else entry.size[1:]
        chunks = self._chunks(name, layer)
        if len(chunks) == 1 and chunks[0].sizes.numel() == shape.numel():
            return self._read_chunk(name, chunks[0]).reshape(shape)
        full = torch.empty(shape, dtype=entry.properties.dtype)
        filled = 0
        for chunk in chunks:
            stacked = 0 if layer is None else 1
            offsets, sizes = tuple(chunk.offsets)[stacked:], tuple(chunk.sizes)[stacked:]
            window = tuple(slice(start, start + size) for start, size in zip(offsets, sizes, strict=True))
            full[window] = self._read_chunk(name, chunk).reshape(sizes)
            filled += full[window].numel()
        if filled != full.numel():
            raise UserError(f"{self._folder}: {name} (layer {layer}) is incomplete; use another checkpoint")
        return full

    def _read_chunk(self, name: str, chunk: ChunkStorageMetadata) -> Tensor:
        """The values of ``chunk``, read straight to where they stay."""
        if (span := self._locate(name, chunk)) is not None:
            tensor = torch.empty(chunk.sizes, dtype=self.dtype(name))
            span.file.read_into(bytes_of(tensor), span.offset)
            return tensor
        with self._window(name, chunk) as window:  # not how torch's own writer lays them out
            tensor = torch.load(io.BytesIO(window.read()), weights_only=True)
        return self._as_listed(tensor, name, chunk)

    def _locate(self, name: str, chunk: ChunkStorageMetadata) -> Span | None:
        """Where the values of ``chunk`` lie, if side by side."""
        with self._window(name, chunk) as window:
            stored = locate_tensor(window)
        if stored is None:
            return None
        self._as_listed(stored, name, chunk)
        size = chunk.sizes.numel() * stored.dtype.itemsize
        return Span(self.files[window.path], window.start + stored.offset, size)

    def _as_listed(self, found: Tensor | StoredTensor, name: str, chunk: ChunkStorageMetadata) -> Any:
        if tuple(found.shape) != tuple(chunk.sizes) or found.dtype != self.dtype(name):
            raise UserError(f"{self._folder}: {name} is another tensor than its index says; use another checkpoint")
        return found

    @contextmanager
    def _window(self, name: str, chunk: ChunkStorageMetadata) -> Iterator[Window]:
        """The part of a file that ``chunk`` was saved in."""
        try:
            place = self._storage[MetadataIndex(self._prefix + name, chunk.offsets)]
            with (self._folder / place.relative_path).open("rb") as handle:
                yield Window(handle, place.offset, place.length)
        except UserError:
            raise
        except Exception as error:  # damage can show in any way
            raise UserError(f"{self._folder}: {name} is damaged ({error}); use another checkpoint") from error
