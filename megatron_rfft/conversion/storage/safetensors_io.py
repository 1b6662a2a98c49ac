"""Safetensors of an HF folder: their tensors where they lie, and files of tensors that pass by.

The format: 8 bytes of length, that much JSON (type, shape and place of each tensor), then the values back to back. Both
ways are written here for their memory: the library's reader maps whole files, its writer holds whole shards.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.hashed_file import HashedFile
from megatron_rfft.conversion.storage.stored import SourceFile, Span, Stored
from megatron_rfft.conversion.storage.weight_files import Place, same_tensor, weight_files
from megatron_rfft.conversion.storage.written_files import in_files

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ROTARY = re.compile(r"\brotary_emb\.(inv_freq|cos_cached|sin_cached)$")  # older versions saved them


@dataclass(frozen=True)
class TensorGroup:
    """Tensors that are written one after the other; ``contents`` begins to give their bytes, in that order."""

    shapes: dict[str, tuple[int, ...]]
    dtype: torch.dtype
    contents: Callable[[], Iterable[memoryview]]

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values()) * self.dtype.itemsize


def plan_shards(groups: Iterable[TensorGroup], max_shard_gb: float) -> dict[str, list[TensorGroup]]:
    """File names and what is in each: at most ``max_shard_gb`` (10^9 bytes), unless a group alone is larger."""
    shards = in_files(groups, lambda group: group.nbytes, max_shard_gb)
    if len(shards) == 1:
        return {"model.safetensors": shards[0]}
    return {f"model-{n + 1:05d}-of-{len(shards):05d}.safetensors": shard for n, shard in enumerate(shards)}


def shard_index(shards: dict[str, list[TensorGroup]]) -> dict[str, Any]:
    """What model.safetensors.index.json says of several shards."""
    total = sum(group.nbytes for shard in shards.values() for group in shard)
    weight_map = {name: file for file, shard in shards.items() for group in shard for name in group.shapes}
    return {"metadata": {"total_size": total}, "weight_map": weight_map}


def write_shard(file: HashedFile, groups: list[TensorGroup]) -> None:
    """Write one file, the bytes of each group asked for when its turn comes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for group in groups:
        for name, shape in group.shapes.items():
            start, end = end, end + torch.Size(shape).numel() * group.dtype.itemsize
            header[name] = {"dtype": _DTYPE_NAMES[group.dtype], "shape": shape, "data_offsets": (start, end)}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little") + encoded)
    for group in groups:
        start = file.position
        for piece in group.contents():
            file.write(piece)
        assert file.position - start == group.nbytes, group.shapes


class HFWeights:
    """The safetensors of an HF folder; threads may read at the same time.

    Rotary frequencies, which follow from the config, are left out. Raises UserError for files that are missing or
    broken, for two sets of weights that differ, and for number formats other than floats of 16 bits and more.
    """

    def __init__(self, folder: Path):
        headers = weight_files(folder)
        self.files = list(headers)
        self._places: dict[str, Place] = {}
        self._tensors: dict[str, Stored] = {}
        for path, places in headers.items():
            file = SourceFile(path)
            for name, place in places.items():
                if not _ROTARY.search(name):
                    self._places[name] = place
                    self._tensors[name] = _stored(name, place, file)

    @property
    def names(self) -> set[str]:
        """Names of all tensors."""
        return set(self._tensors)

    def stored(self, name: str) -> Stored:
        """Tensor ``name`` where it lies."""
        return self._tensors[name]

    def equal(self, one: str, other: str) -> bool:
        """Whether two tensors are the same, bit by bit."""
        return same_tensor(self._places[one], self._places[other])

    def read(self, name: str) -> torch.Tensor:
        """Tensor ``name``, in memory of its own."""
        return self._tensors[name].load()


def _stored(name: str, place: Place, file: SourceFile) -> Stored:
    if place.dtype not in _DTYPES:
        raise UserError(
            f"{place.file}: {name} is {place.dtype}, not one of {', '.join(_DTYPES)}; quantized weights cannot be "
            "trained: give the bf16 model"
        )
    dtype = _DTYPES[place.dtype]
    if torch.Size(place.shape).numel() * dtype.itemsize != place.size:
        raise UserError(f"{place.file} is not a whole safetensors file ({name} has another size); download it again")
    return Stored.in_file(Span(file, place.offset, place.size), place.shape, dtype)
