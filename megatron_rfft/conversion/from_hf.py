"""Import a Hugging Face folder as a checkpoint that training starts from, in any layout."""

import shutil
from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory
from megatron_rfft.conversion.mapping import hf_names, mappings, parameters
from megatron_rfft.conversion.safetensors_io import HFWeights
from megatron_rfft.mcore import parallel_state, tensor_parallel
from megatron_rfft.models.build import build_model, transformer_config
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.initialize import FullTensor, fill_parameters
from megatron_rfft.training.checkpoint import model_state, write_checkpoint
from megatron_rfft.training.layout import destroy_parallel, start_process_group


def from_hf(source: Path, output: Path) -> Path:
    """Import the HF folder ``source`` as a checkpoint that training starts from (``checkpoint.load``), any layout.

    Raises UserError if a tensor is missing, left over, or of another shape than its config says.
    """
    require_directory(source, "give a Hugging Face model folder")
    if output.exists():
        raise UserError(f"{output} exists; remove it or give another --output")
    model = ModelConfig.from_hf(source)
    weights = HFWeights(source)
    table = mappings(model)
    wanted = {name for mapping, layer in parameters(model) for name in hf_names(mapping, layer)}
    tied_copy = {"lm_head.weight"} if model.tie_embeddings else set()
    if lacking := wanted - weights.names:
        raise UserError(f"{source} lacks {sorted(lacking)[0]}; its config.json does not fit its weights")
    if left_over := weights.names - wanted - tied_copy:
        raise UserError(
            f"{source} has {sorted(left_over)[0]}, which a {model.architecture} model does not; it would be lost"
        )

    def full_tensor(name: str, layer: int | None, shape: tuple[int, ...]) -> torch.Tensor:
        tensor = table[name].join([weights.read(part) for part in hf_names(table[name], layer)], model)
        if tuple(tensor.shape) != shape:
            raise UserError(f"{source}: {hf_names(table[name], layer)[0]} gives {tuple(tensor.shape)}, not {shape}")
        return tensor

    dtype = weights.read("model.norm.weight").dtype
    _save(model, full_tensor, dtype, source, output)
    return output


def _save(model: ModelConfig, full_tensor: FullTensor, dtype: torch.dtype, source: Path, output: Path) -> None:
    """Fill a model on one process and write it as a checkpoint at step 0."""
    start_process_group(1)
    parallel_state.initialize_model_parallel(create_gloo_process_groups=False)
    tensor_parallel.model_parallel_cuda_manual_seed(0)
    (stage,) = build_model(model, transformer_config(model, dtype=dtype))
    fill_parameters(stage, full_tensor)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(
        output,
        model_state([stage]),
        lambda hf: _copy_hf_files(source, hf),
        step=0,
        consumed_samples=0,
        model=model.as_dict(),
    )
    destroy_parallel()


def _copy_hf_files(source: Path, target: Path) -> None:
    """Everything but weights and indices: config, generation config, tokenizer."""
    for file in source.iterdir():
        if file.is_file() and ".safetensors" not in file.name and file.suffix in (".json", ".jinja", ".txt", ".model"):
            shutil.copyfile(file, target / file.name)
