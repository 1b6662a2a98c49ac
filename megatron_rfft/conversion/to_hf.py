"""Export a training checkpoint as a Hugging Face folder that transformers and vLLM load."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, sha256_file, write_json
from megatron_rfft.common.manifest import read_manifest, verify_manifest, write_manifest
from megatron_rfft.conversion import mapping as table
from megatron_rfft.conversion.adapter_reader import MergedReader, merged_reader
from megatron_rfft.conversion.dtypes import HF_NAMES, target_dtype
from megatron_rfft.conversion.pieces import continued, default_workers, write_pieces
from megatron_rfft.conversion.safetensors_io import (
    INDEX,
    MAX_SHARD_GB,
    TensorGroup,
    plan_shards,
    shard_index,
    write_shard,
)
from megatron_rfft.conversion.state_reader import ShardedStateReader
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import (
    HF,
    MODEL_KIND,
    MODEL_MANIFEST,
    STATE,
    read_checkpoint_manifest,
    weights_chain,
)

Reader = ShardedStateReader | MergedReader


def to_hf(
    checkpoint: Path,
    output: Path,
    base: Path | None = None,
    *,
    dtype: str = "keep",
    workers: int | None = None,
    max_shard_gb: float = MAX_SHARD_GB,
) -> Path:
    """Export ``checkpoint`` as the HF folder ``output``; a whole export of the same checkpoint is left as it is.

    Adapters are merged into the weights that they were trained on; ``base`` says where those lie, if they were moved.
    No more than a few tensors for each of ``workers`` threads are in memory; a killed export continues. ``dtype`` is
    keep, bf16 or fp32. Raises UserError if a checkpoint is damaged, if table and checkpoint differ in a parameter, or
    if ``output`` is something else.
    """
    chain = weights_chain(checkpoint, base, verified_small_files)
    manifest = chain[0][1]
    model = ModelConfig(**manifest["model"])
    reader = merged_reader(chain)
    check_names(reader, model, checkpoint)
    kept = target_dtype({reader.dtype(name) for name in reader.names}, dtype, checkpoint)
    shards = plan_shards(hf_groups(reader, model, kept), max_shard_gb)
    checks = [partial(_check_file, *place) for place in _large_files(chain)]

    def fill(folder: Path) -> dict[Path, str]:
        writers = {name: partial(write_shard, groups=groups) for name, groups in shards.items()}
        count = default_workers() if workers is None else workers
        pieces = write_pieces(folder, writers, count, checks)
        if len(shards) > 1:
            write_json(folder / INDEX, shard_index(shards))
        config = read_json(folder / "config.json")
        write_json(folder / "config.json", {**config, "dtype": HF_NAMES[kept]})
        return {folder / name: piece.sha256 for name, piece in pieces.items()}

    how = {} if dtype == "keep" else {"dtype": dtype}
    return write_export(checkpoint, output, export_source(manifest, **how), fill, max_shard_gb=max_shard_gb)


def check_names(reader: Reader, model: ModelConfig, checkpoint: Path) -> None:
    """Raise UserError if the checkpoint lacks a parameter of ``model``, or has one that it does not."""
    if unmapped := reader.names ^ set(table.mappings(model)):
        raise UserError(
            f"{checkpoint}: {sorted(unmapped)[0]} is not in both the checkpoint and the {model.architecture} table"
        )


def hf_groups(reader: Reader, model: ModelConfig, dtype: torch.dtype | None) -> Iterable[TensorGroup]:
    """The HF tensors of each parameter in the order of an export, unread: shapes are split as values will be.

    In ``dtype``, or (None) in that of the checkpoint.
    """
    for mapping, layer in table.parameters(model):
        shape = reader.shape(mapping.megatron)[0 if layer is None else 1 :]
        like = mapping.split(torch.empty(shape, device="meta"), model)
        names = table.hf_names(mapping, layer)
        shapes = {name: tuple(tensor.shape) for name, tensor in zip(names, like, strict=True)}
        kept = dtype or reader.dtype(mapping.megatron)
        yield TensorGroup(shapes, kept, partial(_hf_tensors, reader, model, mapping, layer, kept))


def _hf_tensors(
    reader: Reader, model: ModelConfig, mapping: table.Mapping, layer: int | None, dtype: torch.dtype
) -> list[torch.Tensor]:
    return mapping.split(reader.read(mapping.megatron, layer).to(dtype), model)


def verified_small_files(checkpoint: Path) -> dict:
    """The manifest of ``checkpoint`` after the checksums of all but its tensors held. Raises UserError otherwise."""
    manifest = read_checkpoint_manifest(checkpoint)
    for name, entry in manifest["files"].items():
        if not name.endswith(".distcp"):
            _check_file(checkpoint, name, entry)
    return manifest


def _large_files(chain: list[tuple[Path, dict]]) -> list[tuple[Path, str, dict]]:
    return [
        (checkpoint, name, entry)
        for checkpoint, manifest in chain
        for name, entry in manifest["files"].items()
        if name.endswith(".distcp")
    ]


def _check_file(checkpoint: Path, name: str, entry: dict) -> None:
    file = checkpoint / name
    if not file.is_file():
        problem = f"{file} is missing"
    elif file.stat().st_size != entry["bytes"] or sha256_file(file) != entry["sha256"]:
        problem = f"{file} is not the file that the manifest lists"
    else:
        return
    raise UserError(f"checkpoint {checkpoint} is damaged: {problem}; use an older one")


def export_source(manifest: dict, **how: str) -> dict:
    """What an export says that it was made from: the checksum of the state's checksums, its step."""
    state = {name: entry["sha256"] for name, entry in manifest["files"].items() if name.startswith(f"{STATE}/")}
    if "adapter" in manifest:
        state["base"] = manifest["adapter"]["base"]["manifest_sha256"]
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
    return {"checkpoint_state": digest, "step": manifest["step"], **how}


def write_export(
    checkpoint: Path, output: Path, source: dict, fill: Callable[[Path], Mapping[Path, str]], **how: Any
) -> Path:
    """Make the folder ``output`` of the checkpoint's ``hf/``, what ``fill`` does there, and a manifest; atomic.

    ``fill`` returns the checksums that it knows. What a killed run with the same ``source`` and ``how`` left is there
    when it begins.
    """
    if output.exists():
        if _is_export_of(output, source):
            return output
        raise UserError(f"{output} exists and is no such export of {checkpoint}; remove it or give another --output")
    with continued(output, {"source": source, **how}) as folder:
        shutil.copytree(checkpoint / HF, folder, dirs_exist_ok=True)
        known = fill(folder)
        model_file = folder / MODEL_MANIFEST
        trained = read_manifest(model_file, MODEL_KIND) if model_file.is_file() else {}
        sections = {key: trained[key] for key in ("form", "chat", "trained_lengths", "training") if key in trained}
        files = [path for path in folder.iterdir() if path != model_file and not path.name.startswith(".")]
        write_manifest(model_file, MODEL_KIND, files, known, **sections, source=source)
    return output


def _is_export_of(output: Path, source: dict) -> bool:
    file = output / MODEL_MANIFEST
    if not file.is_file() or read_manifest(file, MODEL_KIND).get("source") != source:
        return False
    return not verify_manifest(file, MODEL_KIND)
