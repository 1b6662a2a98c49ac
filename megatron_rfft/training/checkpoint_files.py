"""A checkpoint on disk: whole or absent, with a manifest, an ``hf/`` folder and a step number.

``CHECKPOINTS/step-00000100/`` holds ``state/`` (torch distributed checkpoint), ``hf/`` (config, generation config,
tokenizer, ``megatron_rfft.json``) and ``manifest.json``. It appears under that name by one rename, after everything
is on disk. The state's ``.metadata`` is a pickle: it is opened only after the manifest's checksums hold.
"""

import os
import shutil
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory, sync_directory
from megatron_rfft.common.manifest import read_manifest, verify_manifest

CHECKPOINT_KIND = "checkpoint"
BEST = "best"
"""A link to the checkpoint with the lowest validation loss: a path like any other for ``checkpoint.load``."""
STATE, HF, MANIFEST = "state", "hf", "manifest.json"
MODEL_KIND = "model"
MODEL_MANIFEST = "megatron_rfft.json"
"""Beside an exported model's config: the form and the lengths that it was trained on, and checksums."""


def list_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints below ``folder``, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / MANIFEST).is_file())


def newest_manifest(folder: Path) -> dict | None:
    """The manifest of the newest finished checkpoint below ``folder``; None without any."""
    found = list_checkpoints(folder)
    return read_manifest(found[-1] / MANIFEST, CHECKPOINT_KIND) if found else None


def read_checkpoint_manifest(path: Path) -> dict:
    """The manifest of checkpoint ``path``. Raises UserError if there is none."""
    require_directory(path, "give a checkpoint folder (step-XXXXXXXX)")
    return read_manifest(path / MANIFEST, CHECKPOINT_KIND)


def verified_manifest(path: Path) -> dict:
    """The manifest of checkpoint ``path`` after every checksum held. Raises UserError otherwise."""
    manifest = read_checkpoint_manifest(path)
    if problems := verify_manifest(path / MANIFEST, CHECKPOINT_KIND):
        raise UserError(f"checkpoint {path} is damaged: {problems[0]}; use an older one")
    return manifest


def newest_intact(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint whose checksums hold, and what is wrong with each newer one.

    Raises UserError if there are checkpoints and none of them is intact.
    """
    problems: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            verified_manifest(path)
        except UserError as error:
            problems.append(str(error))
        else:
            return path, problems
    if problems:
        raise UserError(f"{problems[0]}: but there is no intact one in {folder}; remove these to start anew")
    return None, []


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints and the best one, and what killed runs left half-written."""
    best = (folder / BEST).resolve()
    for path in [*list_checkpoints(folder)[:-keep], *folder.glob(".step-*.tmp")]:
        if path.resolve() != best:
            shutil.rmtree(path)


def mark_best(folder: Path, step: int) -> None:
    """Let ``folder/best`` lead to the checkpoint of ``step``."""
    temporary = folder / f".{BEST}.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(f"step-{step:08d}")
    os.replace(temporary, folder / BEST)
    sync_directory(folder)
