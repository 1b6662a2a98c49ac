"""Safetensors of an HF folder, one tensor in memory at a time."""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, write_json

MAX_SHARD_BYTES = 5 * 10**9
INDEX = "model.safetensors.index.json"


def write_safetensors(tensors: Iterator[tuple[str, torch.Tensor]], folder: Path) -> torch.dtype:
    """Write shards of at most MAX_SHARD_BYTES and their index; return the dtype."""
    shards: list[list[str]] = []
    pending: dict[str, torch.Tensor] = {}
    size = total_bytes = 0
    dtype = torch.float32

    def flush() -> None:
        save_file(pending, folder / f"{len(shards)}.part", metadata={"format": "pt"})
        shards.append(list(pending))
        pending.clear()

    for name, tensor in tensors:
        if pending and size + tensor.nbytes > MAX_SHARD_BYTES:
            flush()
            size = 0
        pending[name] = tensor
        size += tensor.nbytes
        total_bytes += tensor.nbytes
        dtype = tensor.dtype
    flush()
    weight_map = {}
    for number, names in enumerate(shards):
        file = f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors" if len(shards) > 1 else "model.safetensors"
        (folder / f"{number}.part").rename(folder / file)
        weight_map.update(dict.fromkeys(names, file))
    if len(shards) > 1:
        write_json(folder / INDEX, {"metadata": {"total_size": total_bytes}, "weight_map": weight_map})
    return dtype


class HFWeights:
    """The safetensors of an HF folder, tensor by tensor."""

    def __init__(self, folder: Path):
        index = folder / INDEX
        if index.is_file():
            files = sorted(set(read_json(index)["weight_map"].values()))
        else:
            files = sorted(path.name for path in folder.glob("*.safetensors"))
        if not files:
            raise UserError(f"{folder} holds no .safetensors weights; save the model with safe serialization")
        missing = [name for name in files if not (folder / name).is_file()]
        if missing:
            raise UserError(f"{folder / missing[0]} is missing; download the model again")
        self._handles = [safe_open(folder / name, framework="pt") for name in files]
        self._owner = {name: handle for handle in self._handles for name in handle.keys()}  # noqa: SIM118

    @property
    def names(self) -> set[str]:
        """Names of all tensors."""
        return set(self._owner)

    def read(self, name: str) -> torch.Tensor:
        """One tensor."""
        return self._owner[name].get_tensor(name)
