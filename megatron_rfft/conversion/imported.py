"""The checkpoint that an import makes: its state, what goes to its ``hf/``, its manifest."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.common.restart import Work
from megatron_rfft.conversion.parameter_mapping import export_order
from megatron_rfft.conversion.writing import Writing
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import CHECKPOINT_KIND, HF, MANIFEST, STATE

if TYPE_CHECKING:
    from megatron_rfft.conversion.storage.state_writer import ParameterRows


def write_imported(
    work: Work,
    model: ModelConfig,
    dtype: torch.dtype,
    rows: "ParameterRows",
    write_hf: Callable[[Path], None],
    how: Writing,
) -> None:
    """Make ``work`` (of ``continued``) a checkpoint at step 0."""
    # Imported late: a wrong source is answered at once, without loading megatron-core.
    from megatron_rfft.conversion.storage.state_writer import write_state

    folder = work.files
    known = write_state(work, STATE, model, dtype, rows, export_order(model), how)
    shutil.rmtree(folder / HF, ignore_errors=True)
    (folder / HF).mkdir()
    write_hf(folder / HF)
    listed = [path for place in (STATE, HF) for path in (folder / place).iterdir()]
    sections = {"step": 0, "consumed_samples": 0, "model": model.as_dict()}
    write_manifest(folder / MANIFEST, CHECKPOINT_KIND, listed, known, **sections)


def copy_hf_files(source: Path, target: Path) -> None:
    """Everything but weights and indices: config, generation config, tokenizer."""
    for file in source.iterdir():
        if file.is_file() and ".safetensors" not in file.name and file.suffix in (".json", ".jinja", ".txt", ".model"):
            shutil.copyfile(file, target / file.name)
