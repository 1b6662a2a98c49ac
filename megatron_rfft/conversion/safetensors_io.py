"""Safetensors of an HF folder: their tensors where they lie, and files of tensors that pass by.

The format: 8 bytes of length, that much JSON (type, shape and place of each tensor), then the values back to back. Both
ways are written here for their memory: the library's reader maps whole files, its writer holds whole shards.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json
from megatron_rfft.conversion.hashed_file import HashedFile
from megatron_rfft.conversion.stored import SourceFile, Span, Stored

MAX_SHARD_GB = 2.0
INDEX = "model.safetensors.index.json"
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_HEADER_BYTES = 100_000_000


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
    if max_shard_gb <= 0:
        raise UserError(f"--max-shard-gb is {max_shard_gb}; it must be above 0")
    shards: list[list[TensorGroup]] = []
    room = 0.0
    for group in groups:
        if not shards or group.nbytes > room:
            shards.append([])
            room = max_shard_gb * 1e9
        shards[-1].append(group)
        room -= group.nbytes
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

    Raises UserError for files that are missing or broken.
    """

    def __init__(self, folder: Path):
        index = folder / INDEX
        if index.is_file():
            files = sorted(set(read_json(index)["weight_map"].values()))
        else:
            files = sorted(path.name for path in folder.glob("*.safetensors"))
        if not files:
            raise UserError(f"{folder} holds no .safetensors weights; save the model with safe serialization")
        missing = [name for name in files if Path(name).name != name or not (folder / name).is_file()]
        if missing:
            raise UserError(f"{folder / missing[0]} is missing; download the model again")
        self.files = [folder / name for name in files]
        self._tensors = {name: stored for path in self.files for name, stored in _read_header(path)}

    @property
    def names(self) -> set[str]:
        """Names of all tensors."""
        return set(self._tensors)

    def stored(self, name: str) -> Stored:
        """Tensor ``name`` where it lies."""
        return self._tensors[name]

    def read(self, name: str) -> torch.Tensor:
        """Tensor ``name``, in memory of its own."""
        return self._tensors[name].load()


def _read_header(path: Path) -> Iterator[tuple[str, Stored]]:
    size, file = path.stat().st_size, SourceFile(path)
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        try:
            if not 0 < length <= min(_MAX_HEADER_BYTES, size - 8):
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(handle.read(length))
            header.pop("__metadata__", None)
            found = []
            for name, entry in header.items():
                start, end = entry["data_offsets"]
                dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
                count = torch.Size(shape).numel() * dtype.itemsize
                if start < 0 or end - start != count or 8 + length + end > size:
                    raise ValueError(f"{name} does not lie in it")
                found.append((name, Stored.in_file(Span(file, 8 + length + start, count), shape, dtype)))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no whole safetensors file ({error}); download the model again") from error
    yield from found
