"""Export a checkpoint of adapters as a PEFT folder: plain LoRA on the weights that they were trained on."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import write_json
from megatron_rfft.common.restart import Work
from megatron_rfft.conversion.checkpoint_weights import AdapterReader
from megatron_rfft.conversion.export_folder import export_source, write_export
from megatron_rfft.conversion.parameter_mapping import hf_names, mappings
from megatron_rfft.training.checkpoint_files import verified_manifest


def to_peft(checkpoint: Path, output: Path) -> Path:
    """Export the adapters in ``checkpoint`` as ``output``, for PEFT or vLLM on the HF folder of their base.

    PiSSA becomes LoRA of twice the rank, ``[B, -B0] [A; A0]``: its change of the weights that it was put on, not of
    what it left of them. Raises UserError if the checkpoint is damaged or holds no adapters, or ``output`` is something
    else.
    """
    manifest = verified_manifest(checkpoint)
    if "adapter" not in manifest:
        raise UserError(f"{checkpoint} holds whole weights, no adapters; leave --adapter out")
    adapters = AdapterReader(checkpoint, manifest)

    def fill(work: Work) -> dict[Path, str]:
        folder = work.files
        for name in ("config.json", "generation_config.json"):  # the base's
            (folder / name).unlink(missing_ok=True)
        save_file(_tensors(adapters), folder / "adapter_model.safetensors", metadata={"format": "pt"})
        write_json(folder / "adapter_config.json", _peft_config(adapters))
        return {}

    return write_export(checkpoint, output, export_source(manifest, adapter="peft"), fill)


def _tensors(adapters: AdapterReader) -> dict[str, Tensor]:
    """PEFT's names and tensors of every projection."""
    tensors = {}
    table = mappings(adapters.model)
    for spec in adapters.linears:
        mapping = table[spec.weight]
        for layer in range(adapters.model.num_layers):
            a, b = adapters.factors(spec, layer)
            downs, ups = a.chunk(len(b)), b
            if not adapters.starts_at_zero:
                start_a, start_b = adapters.factors(spec, layer, start=True)
                downs = [torch.cat(pair) for pair in zip(downs, start_a.chunk(len(b)), strict=True)]
                ups = [torch.cat([now, -before], dim=1) for now, before in zip(b, start_b, strict=True)]
            for name, down, up in zip(hf_names(mapping, layer), downs, ups, strict=True):
                prefix = f"base_model.model.{name.removesuffix('.weight')}"
                tensors[f"{prefix}.lora_A.weight"] = down.contiguous()
                tensors[f"{prefix}.lora_B.weight"] = up.contiguous()
    return tensors


def _peft_config(adapters: AdapterReader) -> dict[str, Any]:
    config = adapters.config
    table = mappings(adapters.model)
    names = [name for spec in adapters.linears for name in table[spec.weight].hf]
    factor = 1 if adapters.starts_at_zero else 2
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": factor * config.rank,
        "lora_alpha": factor * config.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": [name.split(".")[-2] for name in names],
        "inference_mode": True,
        "base_model_name_or_path": None,
    }
