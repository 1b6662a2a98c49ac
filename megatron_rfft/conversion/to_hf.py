"""Export a training checkpoint as a Hugging Face folder that transformers and vLLM load."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, sync_directory, write_json
from megatron_rfft.common.manifest import read_manifest, verify_manifest, write_manifest
from megatron_rfft.conversion.mapping import hf_names, mappings, parameters
from megatron_rfft.conversion.safetensors_io import write_safetensors
from megatron_rfft.conversion.state_reader import ShardedStateReader
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import HF, MODEL_KIND, MODEL_MANIFEST, STATE, verified_manifest

_DTYPE_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def to_hf(checkpoint: Path, output: Path) -> Path:
    """Export ``checkpoint`` as the HF folder ``output``; a whole export of the same checkpoint is left as it is.

    Raises UserError if the checkpoint is damaged, if table and checkpoint differ in a parameter, or if ``output`` is
    something else.
    """
    manifest = verified_manifest(checkpoint)
    source = {"checkpoint_state": manifest["files"][f"{STATE}/.metadata"]["sha256"], "step": manifest["step"]}
    if output.exists():
        if _is_export_of(output, source):
            return output
        raise UserError(f"{output} exists and is no export of {checkpoint}; remove it or give another --output")
    model = ModelConfig(**manifest["model"])
    reader = ShardedStateReader(checkpoint / STATE)
    if unmapped := reader.names ^ set(mappings(model)):
        raise UserError(
            f"{checkpoint}: {sorted(unmapped)[0]} is not in both the checkpoint and the {model.architecture} table"
        )
    temporary = output.with_name(f".{output.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(checkpoint / HF, temporary)
    dtype = write_safetensors(_export(reader, model), temporary)
    config = read_json(temporary / "config.json")
    write_json(temporary / "config.json", {**config, "dtype": _DTYPE_NAMES[dtype]})
    model_file = temporary / MODEL_MANIFEST
    trained = read_manifest(model_file, MODEL_KIND) if model_file.is_file() else {}
    sections = {key: trained[key] for key in ("form", "trained_lengths", "training") if key in trained}
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


def _export(reader: ShardedStateReader, model: ModelConfig) -> Iterator[tuple[str, torch.Tensor]]:
    for mapping, layer in parameters(model):
        tensors = mapping.split(reader.read(mapping.megatron, layer), model)
        yield from zip(hf_names(mapping, layer), (tensor.contiguous() for tensor in tensors), strict=True)
