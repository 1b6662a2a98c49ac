"""Export a training checkpoint as a Hugging Face folder that transformers and vLLM load."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, sync_directory, write_json
from megatron_rfft.common.manifest import read_manifest, verify_manifest, write_manifest
from megatron_rfft.conversion.adapter_reader import MergedReader, merged_reader
from megatron_rfft.conversion.mapping import hf_names, mappings, parameters
from megatron_rfft.conversion.safetensors_io import write_safetensors
from megatron_rfft.conversion.state_reader import ShardedStateReader
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import HF, MODEL_KIND, MODEL_MANIFEST, STATE, weights_chain

_DTYPE_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def to_hf(checkpoint: Path, output: Path, base: Path | None = None) -> Path:
    """Export ``checkpoint`` as the HF folder ``output``; a whole export of the same checkpoint is left as it is.

    Adapters are merged into the weights that they were trained on; ``base`` says where those lie, if they were moved.
    Raises UserError if a checkpoint is damaged, if table and checkpoint differ in a parameter, or if ``output`` is
    something else.
    """
    chain = weights_chain(checkpoint, base)
    manifest = chain[0][1]
    model = ModelConfig(**manifest["model"])
    reader = merged_reader(chain)
    if unmapped := reader.names ^ set(mappings(model)):
        raise UserError(
            f"{checkpoint}: {sorted(unmapped)[0]} is not in both the checkpoint and the {model.architecture} table"
        )

    def fill(folder: Path) -> None:
        dtype = write_safetensors(_export(reader, model), folder)
        config = read_json(folder / "config.json")
        write_json(folder / "config.json", {**config, "dtype": _DTYPE_NAMES[dtype]})

    return write_export(checkpoint, output, export_source(manifest), fill)


def export_source(manifest: dict, **how: str) -> dict:
    """What an export says that it was made from."""
    return {"checkpoint_state": manifest["files"][f"{STATE}/.metadata"]["sha256"], "step": manifest["step"], **how}


def write_export(checkpoint: Path, output: Path, source: dict, fill: Callable[[Path], None]) -> Path:
    """Make the folder ``output`` of the checkpoint's ``hf/``, what ``fill`` does there, and a manifest; atomic."""
    if output.exists():
        if _is_export_of(output, source):
            return output
        raise UserError(f"{output} exists and is no such export of {checkpoint}; remove it or give another --output")
    temporary = output.with_name(f".{output.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(checkpoint / HF, temporary)
    fill(temporary)
    model_file = temporary / MODEL_MANIFEST
    trained = read_manifest(model_file, MODEL_KIND) if model_file.is_file() else {}
    sections = {key: trained[key] for key in ("form", "chat", "trained_lengths", "training") if key in trained}
    files = [path for path in temporary.iterdir() if path != model_file]
    write_manifest(model_file, MODEL_KIND, files, **sections, source=source)
    temporary.rename(output)
    sync_directory(output.parent)
    return output


def _is_export_of(output: Path, source: dict) -> bool:
    file = output / MODEL_MANIFEST
    if not file.is_file() or read_manifest(file, MODEL_KIND).get("source") != source:
        return False
    return not verify_manifest(file, MODEL_KIND)


def _export(reader: ShardedStateReader | MergedReader, model: ModelConfig) -> Iterator[tuple[str, torch.Tensor]]:
    for mapping, layer in parameters(model):
        tensors = mapping.split(reader.read(mapping.megatron, layer), model)
        yield from zip(hf_names(mapping, layer), (tensor.contiguous() for tensor in tensors), strict=True)
