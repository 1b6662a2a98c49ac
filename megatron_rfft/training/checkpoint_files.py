"""A checkpoint on disk: whole or absent, with a manifest, an ``hf/`` folder and a step number.

``CHECKPOINTS/step-00000100/`` holds ``state/`` (torch distributed checkpoint), ``hf/`` (config, generation config,
tokenizer, ``megatron_rfft.json``) and ``manifest.json``. It appears under that name by one rename, after everything
is on disk. The state's ``.metadata`` is a pickle: it is opened only after the manifest's checksums hold.
"""

import shutil
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory
from megatron_rfft.common.manifest import read_manifest, verify_manifest

CHECKPOINT_KIND = "checkpoint"
STATE, HF, MANIFEST = "state", "hf", "manifest.json"
MODEL_KIND = "model"
MODEL_MANIFEST = "megatron_rfft.json"
"""Beside an exported model's config: the form and the lengths that it was trained on, and checksums."""


def list_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints below ``folder``, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / MANIFEST).is_file())


def newest_step(folder: Path) -> int:
    """Step of the newest finished checkpoint below ``folder``; 0 without any."""
    found = list_checkpoints(folder)
    return read_manifest(found[-1] / MANIFEST, CHECKPOINT_KIND)["step"] if found else 0


def verified_manifest(path: Path) -> dict:
    """The manifest of checkpoint ``path`` after every checksum held. Raises UserError otherwise."""
    require_directory(path, "give a checkpoint folder (step-XXXXXXXX)")
    manifest = read_manifest(path / MANIFEST, CHECKPOINT_KIND)
    if problems := verify_manifest(path / MANIFEST, CHECKPOINT_KIND):
        raise UserError(f"checkpoint {path} is damaged: {problems[0]}; use an older one")
    return manifest


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints, and what killed runs left half-written."""
    for path in [*list_checkpoints(folder)[:-keep], *folder.glob(".step-*.tmp")]:
        shutil.rmtree(path)
