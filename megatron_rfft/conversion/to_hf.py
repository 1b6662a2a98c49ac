"""Export a training checkpoint as a Hugging Face folder that transformers and vLLM load."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, write_json
from megatron_rfft.common.manifest import checksum_in, file_problem
from megatron_rfft.common.restart import Work
from megatron_rfft.conversion import parameter_mapping as table
from megatron_rfft.conversion.checkpoint_weights import Reader, checked_weights
from megatron_rfft.conversion.dtypes import HF_NAMES
from megatron_rfft.conversion.export_folder import export_source, write_export
from megatron_rfft.conversion.storage.safetensors_io import (
    TensorGroup,
    plan_shards,
    shard_index,
    write_shard,
)
from megatron_rfft.conversion.storage.stored import SourceFile, contents
from megatron_rfft.conversion.storage.weight_files import INDEX
from megatron_rfft.conversion.storage.written_files import write_files
from megatron_rfft.conversion.writing import AS_THEY_ARE, Writing
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import read_checkpoint_manifest, weight_files, weights_chain


def to_hf(checkpoint: Path, output: Path, base: Path | None = None, how: Writing = AS_THEY_ARE) -> Path:
    """Export ``checkpoint`` as the HF folder ``output``; a whole export of the same checkpoint is left as it is.

    Adapters are merged into the weights that they were trained on; ``base`` says where those lie, if they were moved.
    Each thread has a few MiB in memory, or the tensor that it puts together from the parts of several ranks, or merges
    adapters into; a killed export continues. Raises UserError if a checkpoint is damaged, if table and checkpoint
    differ in a parameter, or if ``output`` is something else.
    """
    chain = weights_chain(checkpoint, base, verified_small_files)
    model, reader, kept = checked_weights(chain, how.dtype)
    shards = plan_shards(_hf_groups(reader, model, kept), how.max_shard_gb)
    checks = _begin_checks(chain, reader)

    def fill(work: Work) -> dict[Path, str]:
        folder = work.files
        writers = {name: partial(write_shard, groups=groups) for name, groups in shards.items()}
        written = write_files(work, writers, how.workers, checks)
        if len(shards) > 1:
            write_json(folder / INDEX, shard_index(shards))
        config = read_json(folder / "config.json")
        write_json(folder / "config.json", {**config, "dtype": HF_NAMES[kept]})
        return {folder / name: each.sha256 for name, each in written.items()}

    converted = {} if how.dtype == "keep" else {"dtype": how.dtype}
    source = export_source(chain[0][1], **converted)
    return write_export(checkpoint, output, source, fill, max_shard_gb=how.max_shard_gb)


def _hf_groups(reader: Reader, model: ModelConfig, dtype: torch.dtype) -> Iterable[TensorGroup]:
    """The HF tensors of each parameter in ``dtype``, in the order of an export, unread."""
    for mapping, layer in table.parameters(model):
        shapes = dict(zip(table.hf_names(mapping, layer), mapping.shapes, strict=True))
        contents = partial(_hf_contents, reader, mapping.megatron, layer, mapping.split(), dtype)
        yield TensorGroup(shapes, dtype, contents)


def _hf_contents(
    reader: Reader, name: str, layer: int | None, ranges: list[list[tuple[int, int]]], dtype: torch.dtype
) -> Iterator[memoryview]:
    stored = reader.stored(name, layer)
    return contents([(stored, start, stop) for part in ranges for start, stop in part], dtype)


def verified_small_files(checkpoint: Path) -> dict:
    """The manifest of ``checkpoint`` after the checksums of all but its tensors held. Raises UserError otherwise."""
    manifest = read_checkpoint_manifest(checkpoint)
    for name, entry in manifest["files"].items():
        if not name.endswith(".distcp"):
            _check_file(checkpoint, name, entry)
    return manifest


def _begin_checks(chain: list[tuple[Path, dict]], reader: Reader) -> list[Callable[[], None]]:
    """What is to be called when the files of weights are read: it completes their checksums, taken in passing."""
    checks = []
    for checkpoint, manifest in chain:
        for name in weight_files(manifest):
            if name.endswith(".distcp"):
                file = reader.files.get(checkpoint / name) or SourceFile(checkpoint / name)
                entry = manifest["files"][name]
                file.hash_in_passing(checksum_in(entry)[0])
                checks.append(partial(_check_file, checkpoint, name, entry, file.checksum))
    return checks


def _check_file(checkpoint: Path, name: str, entry: dict, found: Callable[[], str] | None = None) -> None:
    if problem := file_problem(checkpoint / name, entry, found):
        raise UserError(f"checkpoint {checkpoint} is damaged: {problem}; use an older one")
