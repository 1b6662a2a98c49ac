"""Safetensors of an HF folder, one tensor in memory at a time.

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
from megatron_rfft.conversion.pieces import HashedFile

MAX_SHARD_GB = 2.0
INDEX = "model.safetensors.index.json"
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class TensorGroup:
    """Tensors that are made together, by ``make``, in the order of ``shapes``."""

    shapes: dict[str, tuple[int, ...]]
    dtype: torch.dtype
    make: Callable[[], Iterable[torch.Tensor]]

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
    """Write one file, each group made when its turn comes."""
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
        for (name, shape), tensor in zip(group.shapes.items(), group.make(), strict=True):
            assert (tuple(tensor.shape), tensor.dtype) == (shape, group.dtype), name
            file.write_tensor(tensor.contiguous())


class HFWeights:
    """The safetensors of an HF folder, tensor by tensor; threads may read at the same time.

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
        self._places = {name: place for path in self.files for name, place in _read_header(path)}

    @property
    def names(self) -> set[str]:
        """Names of all tensors."""
        return set(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of tensor ``name``."""
        return self._places[name].shape

    def dtype(self, name: str) -> torch.dtype:
        """The number format of tensor ``name``."""
        return self._places[name].dtype

    def read(self, name: str) -> torch.Tensor:
        """One tensor, in memory of its own."""
        place = self._places[name]
        tensor = torch.empty(place.shape, dtype=place.dtype)
        view = memoryview(tensor.view(-1).view(torch.uint8).numpy())
        with place.file.open("rb") as handle:
            handle.seek(place.offset)
            if handle.readinto(view) != len(view):
                raise UserError(f"{place.file} is too short; download the model again")
        return tensor


@dataclass(frozen=True)
class _Place:
    file: Path
    offset: int
    dtype: torch.dtype
    shape: tuple[int, ...]


def _read_header(path: Path) -> Iterator[tuple[str, _Place]]:
    size = path.stat().st_size
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        try:
            if not 0 < length <= min(_MAX_HEADER_BYTES, size - 8):
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(handle.read(length))
            header.pop("__metadata__", None)
            places = []
            for name, entry in header.items():
                start, end = entry["data_offsets"]
                place = _Place(path, 8 + length + start, _DTYPES[entry["dtype"]], tuple(entry["shape"]))
                count = torch.Size(place.shape).numel() * place.dtype.itemsize
                if start < 0 or end - start != count or 8 + length + end > size:
                    raise ValueError(f"{name} does not lie in it")
                places.append((name, place))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no whole safetensors file ({error}); download the model again") from error
    yield from places
