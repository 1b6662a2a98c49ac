"""Import a Hugging Face folder as a checkpoint that training starts from, in any layout."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory
from megatron_rfft.conversion.dtypes import target_dtype
from megatron_rfft.conversion.imported import copy_hf_files, write_imported
from megatron_rfft.conversion.parameter_mapping import hf_names, mappings, parameters
from megatron_rfft.conversion.storage.safetensors_io import HFWeights
from megatron_rfft.conversion.storage.stored import Rows, padded
from megatron_rfft.conversion.storage.written_files import continued
from megatron_rfft.conversion.writing import AS_THEY_ARE, Writing
from megatron_rfft.models.config import ModelConfig

if TYPE_CHECKING:
    from megatron_rfft.conversion.storage.state_writer import ParameterRows

_INPUT, _OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


def from_hf(source: Path, output: Path, how: Writing = AS_THEY_ARE) -> Path:
    """Import the HF folder ``source`` as a checkpoint that training starts from (``checkpoint.load``), any layout.

    Each thread has a few MiB in memory, whatever the model's size; a killed import continues. Raises UserError if a
    tensor is missing, left over, or of another shape than its config says.
    """
    require_directory(source, "give a Hugging Face model folder")
    if output.exists():
        raise UserError(f"{output} exists; remove it or give another --output")
    model = ModelConfig.from_hf(source)
    weights = HFWeights(source)
    check_names(weights, model, source)
    kept = target_dtype({weights.stored(name).dtype for name in weights.names}, how.dtype, source)
    job = {"source": _identity(weights), "model": model.as_dict(), "dtype": str(kept), "max_shard_gb": how.max_shard_gb}
    with continued(output, job) as work:
        rows = parameter_rows(weights, model, source)
        write_imported(work, model, kept, rows, lambda hf: copy_hf_files(source, hf), how)
    return output


def check_names(weights: HFWeights, model: ModelConfig, source: Path) -> None:
    """Raise UserError if ``weights`` lack a tensor of ``model``, or have one that it does not."""
    wanted = {name for mapping, layer in parameters(model) for name in hf_names(mapping, layer)}
    tied_copy = {_OUTPUT} if model.tie_embeddings else set()
    if lacking := wanted - weights.names:
        raise UserError(f"{source} lacks {sorted(lacking)[0]}; its config.json does not fit its weights")
    if left_over := weights.names - wanted - tied_copy:
        raise UserError(
            f"{source} has {sorted(left_over)[0]}, which a {model.architecture} model does not; it would be lost"
        )
    if problem := tie_problem(weights, model):
        raise UserError(f"{source}: {problem}; set tie_word_embeddings to false")


def tie_problem(weights: HFWeights, model: ModelConfig) -> str | None:
    """What is wrong with the output embeddings beside those of the input that a tied ``model`` has instead; or None.

    transformers uses both where they differ, whatever the config says.
    """
    if not model.tie_embeddings or _OUTPUT not in weights.names or weights.equal(_INPUT, _OUTPUT):
        return None
    return f"{_OUTPUT} is not {_INPUT}, although config.json ties them"


def parameter_rows(weights: HFWeights, model: ModelConfig, source: Path) -> "ParameterRows":
    """Finds the rows of megatron-core's parameters in ``weights``."""
    table = mappings(model)

    def rows(name: str, layer: int | None, shape: tuple[int, ...]) -> list[Rows]:
        mapping, names = table[name], hf_names(table[name], layer)
        tensors = [weights.stored(part) for part in names]
        for part, stored, wanted in zip(names, tensors, mapping.shapes, strict=True):
            if stored.shape != wanted:
                raise UserError(f"{source}: {part} is {stored.shape}, not {wanted}; its config.json does not fit")
        found = [(tensors[which], start, stop) for which, start, stop in mapping.blocks]
        return padded(found, shape[0]) if mapping.padded else found

    return rows


def _identity(weights: HFWeights) -> list[list[Any]]:
    """What tells these files from others, without reading them through."""
    found = [(path, path.stat()) for path in weights.files]
    return [[str(path.resolve()), stat.st_size, stat.st_mtime_ns] for path, stat in found]
