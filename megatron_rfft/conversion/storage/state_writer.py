"""Write a whole model as megatron-core's sharded checkpoint, tensor by tensor as they pass by.

What is in it (names, shapes, how layers are stacked, extra states) megatron-core itself says, of a model of one layer:
the other layers' parameters are the first's with another offset.
"""

import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from megatron_rfft.common.hashed_file import HashedFile
from megatron_rfft.common.restart import Work
from megatron_rfft.common.tensor_file import write_tensor
from megatron_rfft.conversion.storage.stored import Passing, Rows, contents
from megatron_rfft.conversion.storage.written_files import WrittenFile, in_files, write_files
from megatron_rfft.conversion.writing import Writing
from megatron_rfft.mcore import dist_checkpointing
from megatron_rfft.mcore.saving import write_state_index
from megatron_rfft.models.build import build_model, transformer_config
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.geometry import LAYERS
from megatron_rfft.training.checkpoint import content_metadata, model_state
from megatron_rfft.training.layout import single_rank

sharded = dist_checkpointing.mapping
ParameterRows = Callable[[str, int | None, tuple[int, ...]], list[Rows]]
"""(name without layer number, layer or None, shape) -> where the rows of the parameter lie."""
OBJECTS = "__0_objects.distcp"
"""The file of what is not a tensor."""
_COMMON = "common_state/shard_0_1"


@dataclass(frozen=True)
class Chunk:
    """A part of a parameter as megatron-core stores it: its place in all layers' tensor, its own shape."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """What one layer has of a parameter (``layer`` None: a parameter outside the layers), and its chunks."""

    name: str
    layer: int | None
    shape: tuple[int, ...]
    chunks: tuple[Chunk, ...]

    @property
    def numel(self) -> int:
        """Values in it."""
        return torch.Size(self.shape).numel()

    def __post_init__(self) -> None:
        """Chunks must be runs of rows: they are written in one pass over the parameter."""
        rows = [(chunk.offsets[-len(self.shape)], chunk.sizes[-len(self.shape) :]) for chunk in self.chunks]
        ends = [0, *(first + sizes[0] for first, sizes in rows)]
        assert [*(first for first, _ in rows), self.shape[0]] == ends, self
        assert all(sizes[1:] == self.shape[1:] for _, sizes in rows), self


@dataclass(frozen=True)
class StatePlan:
    """Everything in the checkpoint of ``model`` with all parameters in ``dtype``."""

    dtype: torch.dtype
    shapes: dict[str, tuple[int, ...]]
    """Of each name, layers stacked."""
    parameters: list[Parameter]
    objects: dict[str, bytes]
    """What is not a tensor, as torch.save writes it."""

    def files(self, max_shard_gb: float) -> dict[str, list[Parameter]]:
        """File names and what is in each: at most ``max_shard_gb`` (10^9 bytes), unless a parameter alone is larger."""
        files = in_files(self.parameters, lambda parameter: parameter.numel * self.dtype.itemsize, max_shard_gb)
        return {f"__0_{number}.distcp": parameters for number, parameters in enumerate(files)}


def plan_state(model: ModelConfig, dtype: torch.dtype) -> StatePlan:
    """What megatron-core stores of ``model``. Must be called without a process group; leaves none."""
    with single_rank():
        single = dataclasses.replace(model, num_layers=1)
        (stage,) = build_model(single, transformer_config(single, dtype=dtype))
        state = model_state([stage])
        sharded.apply_factories(state)
        return _expand(list(dist_checkpointing.dict_utils.nested_values(state)), model.num_layers, dtype)


def _expand(single: list[Any], num_layers: int, dtype: torch.dtype) -> StatePlan:
    """The plan of ``num_layers`` layers from the sharded state of one."""
    shapes, objects = {}, {_COMMON: _saved([{"content_metadata": content_metadata()}])}
    outside, layered = {}, {}
    for part in single:
        if isinstance(part, sharded.ShardedTensor) and sharded.is_main_replica(part.replica_id):
            stacked = part.prepend_axis_num
            shapes[part.key] = ((num_layers,) if stacked else ()) + tuple(part.global_shape[stacked:])
            (layered if stacked else outside).setdefault(part.key, []).append(part)
        elif isinstance(part, sharded.ShardedObject):
            for layer in range(num_layers):
                copy = dataclasses.replace(part, global_shape=(num_layers,), global_offset=(layer,))
                objects[copy.unique_key] = _saved([part.data])
    parameters = [Parameter(name, None, shapes[name], _chunks(parts, 0)) for name, parts in outside.items()]
    parameters += [
        Parameter(name, layer, shapes[name][1:], _chunks(parts, layer))
        for layer in range(num_layers)
        for name, parts in layered.items()
    ]
    return StatePlan(dtype, shapes, parameters, objects)


def _chunks(parts: list[sharded.ShardedTensor], layer: int) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(
            (layer,) * part.prepend_axis_num + tuple(part.global_offset[part.prepend_axis_num :]),
            (1,) * part.prepend_axis_num + tuple(part.local_shape),
        )
        for part in parts
    )


def _saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def write_state(
    work: Work,
    place: str,
    model: ModelConfig,
    dtype: torch.dtype,
    rows: ParameterRows,
    order: Sequence[tuple[str, int | None]],
    how: Writing,
    *,
    common: dict[str, Any] | None = None,
    prefix: str = "",
    empty_states: Sequence[str] = (),
) -> dict[Path, str]:
    """Write the state of ``model`` at ``place`` in ``work``, its files and threads as ``how`` says.

    ``work`` is one of ``continued``. ``order`` lists name and layer of each parameter. Names get ``prefix``;
    ``common`` is what the file ``common.pt`` holds, where older versions of megatron-core look for what is common to
    all ranks. ``empty_states`` are states without content, those of layers for each layer. Returns the checksums of
    the large files.
    """
    plan = plan_state(model, dtype)
    for name in empty_states:
        layers = model.num_layers if name.startswith(LAYERS) else 1
        states = [sharded.ShardedObject(name, None, (layers,), (layer,)) for layer in range(layers)]
        plan.objects.update({state.unique_key: _saved([torch.empty(0, dtype=torch.uint8)]) for state in states})
    ranks = {parameter: rank for rank, parameter in enumerate(order)}
    plan.parameters.sort(key=lambda parameter: ranks[parameter.name, parameter.layer])
    files = plan.files(how.max_shard_gb)
    folder = work.files
    (folder / place).mkdir(exist_ok=True)
    if common is not None:
        del plan.objects[_COMMON]
        torch.save(common, folder / place / "common.pt")
    writers: dict[str, Callable[[HashedFile], Any]] = {
        f"{place}/{name}": partial(write_parameters, parameters=some, rows=rows, dtype=dtype)
        for name, some in files.items()
    }
    writers[f"{place}/{OBJECTS}"] = partial(write_objects, plan=plan)
    written = write_files(work, writers, how.workers)
    write_index(folder / place, plan, files, {name.rpartition("/")[2]: each for name, each in written.items()}, prefix)
    return {folder / name: each.sha256 for name, each in written.items()}


def write_parameters(
    file: HashedFile, parameters: list[Parameter], rows: ParameterRows, dtype: torch.dtype
) -> list[list[int]]:
    """Write one ``.distcp`` file; the place (offset, length) of each chunk in it."""
    places = []
    for parameter in parameters:
        found = rows(parameter.name, parameter.layer, parameter.shape)
        assert sum(stop - start for _, start, stop in found) == parameter.shape[0], parameter
        assert all(stored.shape[1:] == parameter.shape[1:] for stored, _, _ in found), parameter
        values = Passing(contents(found, dtype))
        for chunk in parameter.chunks:
            start = file.position
            write_tensor(file, chunk.sizes, dtype, values.take(torch.Size(chunk.sizes).numel() * dtype.itemsize))
            places.append([start, file.position - start])
    return places


def write_objects(file: HashedFile, plan: StatePlan) -> list[list[int]]:
    """Write what is not a tensor as a file of its own; the place of each object in it."""
    places = []
    for content in plan.objects.values():
        places.append([file.position, len(content)])
        file.write(content)
    return places


def write_index(
    folder: Path, plan: StatePlan, files: dict[str, list[Parameter]], written: dict[str, WrittenFile], prefix: str
) -> None:
    """Write ``.metadata`` and ``metadata.json`` over the finished files: equal plans give equal bytes."""
    tensors: dict[str, Any] = {
        prefix + name: TensorStorageMetadata(TensorProperties(plan.dtype), torch.Size(shape), [])
        for name, shape in plan.shapes.items()
    }
    storage = {}
    for file, parameters in files.items():
        chunks = [(prefix + parameter.name, chunk) for parameter in parameters for chunk in parameter.chunks]
        for (name, chunk), place in zip(chunks, written[file].facts, strict=True):
            offsets = torch.Size(chunk.offsets)
            tensors[name].chunks.append(ChunkStorageMetadata(offsets, torch.Size(chunk.sizes)))
            storage[MetadataIndex(name, offsets)] = _StorageInfo(file, *place)
    for bare, place in zip(plan.objects, written[OBJECTS].facts, strict=True):
        name = bare if bare == _COMMON else prefix + bare
        tensors[name] = BytesStorageMetadata()
        storage[MetadataIndex(name)] = _StorageInfo(OBJECTS, *place)
    write_state_index(folder, tensors, storage)
