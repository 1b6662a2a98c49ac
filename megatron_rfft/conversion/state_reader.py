"""Read single parameters of a sharded (torch distributed) checkpoint: no process group, one tensor in memory."""

import io
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorStorageMetadata

from megatron_rfft.common.errors import UserError
from megatron_rfft.conversion.restricted import Window, locate_tensor, read_index


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

    def read(self, name: str, layer: int | None) -> Tensor:
        """The full parameter ``name`` (of ``layer``, where layers are stacked), put together from its shards."""
        entry = self._tensors[name]
        shape = entry.size if layer is None else entry.size[1:]
        chunks = [chunk for chunk in entry.chunks if layer is None or chunk.offsets[0] == layer]
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
        try:
            place = self._storage[MetadataIndex(self._prefix + name, chunk.offsets)]
            with (self._folder / place.relative_path).open("rb") as handle:
                window = Window(handle, place.offset, place.length)
                stored = locate_tensor(window)
                if stored is None:  # not how torch's own writer lays them out
                    window.seek(0)
                    tensor = torch.load(io.BytesIO(window.read()), weights_only=True)
                else:
                    tensor = torch.empty(stored.shape, dtype=stored.dtype)
                    _fill(tensor, handle, place.offset + stored.offset)
        except UserError:
            raise
        except Exception as error:  # damage can show in any way
            raise UserError(f"{self._folder}: {name} is damaged ({error}); use another checkpoint") from error
        if tensor.shape != chunk.sizes or tensor.dtype != self.dtype(name):
            raise UserError(f"{self._folder}: {name} is another tensor than its index says; use another checkpoint")
        return tensor


def _fill(tensor: Tensor, handle, offset: int) -> None:
    """Read the values of ``tensor`` from ``offset`` of an open file."""
    view = memoryview(tensor.view(-1).view(torch.uint8).numpy())
    handle.seek(offset)
    if handle.readinto(view) != len(view):
        raise ValueError("its file is too short")
