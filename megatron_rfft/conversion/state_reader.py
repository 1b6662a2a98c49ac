"""Read single parameters of a sharded (torch distributed) checkpoint: no process group, one tensor in memory."""

import io
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint.metadata import MetadataIndex, TensorStorageMetadata

from megatron_rfft.common.errors import UserError


class ShardedStateReader:
    """The tensors below ``state/`` of a checkpoint whose checksums have been verified (its index is a pickle)."""

    def __init__(self, folder: Path):
        self._folder = folder
        metadata = FileSystemReader(str(folder)).read_metadata()
        self._storage = metadata.storage_data
        self._tensors = {
            name: entry
            for name, entry in metadata.state_dict_metadata.items()
            if isinstance(entry, TensorStorageMetadata) and not name.startswith("optimizer.")
        }

    @property
    def names(self) -> set[str]:
        """Names of the model's parameters, layers stacked."""
        return set(self._tensors)

    def read(self, name: str, layer: int | None) -> Tensor:
        """The full parameter ``name`` (of ``layer``, where layers are stacked), put together from its shards."""
        entry = self._tensors[name]
        shape = entry.size if layer is None else entry.size[1:]
        full = torch.empty(shape, dtype=entry.properties.dtype)
        filled = 0
        for chunk in entry.chunks:
            offsets, sizes = tuple(chunk.offsets), tuple(chunk.sizes)
            if layer is not None:
                if offsets[0] != layer:
                    continue
                offsets, sizes = offsets[1:], sizes[1:]
            window = tuple(slice(start, start + size) for start, size in zip(offsets, sizes, strict=True))
            full[window] = self._read_chunk(name, chunk.offsets).reshape(sizes)
            filled += full[window].numel()
        if filled != full.numel():
            raise UserError(f"{self._folder}: {name} (layer {layer}) is incomplete; use another checkpoint")
        return full

    def _read_chunk(self, name: str, offset: torch.Size) -> Tensor:
        place = self._storage[MetadataIndex(name, offset)]
        with (self._folder / place.relative_path).open("rb") as handle:
            handle.seek(place.offset)
            return torch.load(io.BytesIO(handle.read(place.length)), weights_only=True)
