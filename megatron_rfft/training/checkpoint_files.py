"""A checkpoint on disk: whole or absent, with a manifest, an ``hf/`` folder and a step number.

``CHECKPOINTS/step-00000100/`` holds ``state/`` (torch distributed checkpoint), ``hf/`` (config, generation config,
tokenizer, ``megatron_rfft.json``) and ``manifest.json``. It appears under that name by one rename, after everything
is on disk. The state's ``.metadata`` is a pickle: it is opened only after the manifest's checksums hold. Every rank has
written files of its own, those of the optimizer (``optimizer*``) apart from the weights.

The state of a run with adapters holds them alone. Its manifest's section ``adapter`` says what they are, and under
``base`` which checkpoint they were trained on: where it lies as seen from this one, and its manifest's checksum.
"""

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory, sha256_file, sync_directory
from megatron_rfft.common.manifest import file_problem, read_manifest

CHECKPOINT_KIND = "checkpoint"
BEST = "best"
"""A link to the checkpoint with the lowest validation loss: a path like any other for ``checkpoint.load``."""
STATE, HF, MANIFEST = "state", "hf", "manifest.json"
OPTIMIZER_FILES = "optimizer"
"""What the names of files with states of the optimizer alone begin with."""
_THREADS = 4  # files that are verified at a time
_WRITER = re.compile(r"__(\d+)_\d+\.distcp$")
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


def data_of(checkpoint: Path) -> list[dict]:
    """The data sets that ``checkpoint`` was trained on, as its model's manifest lists them; none if it has none.

    Those of the checkpoint that its run started from have a true ``base``.
    """
    file = checkpoint / HF / MODEL_MANIFEST
    return read_manifest(file, MODEL_KIND).get("data", []) if file.is_file() else []


def verified_manifest(path: Path) -> dict:
    """The manifest of checkpoint ``path`` after every checksum held. Raises UserError otherwise."""
    manifest = read_checkpoint_manifest(path)
    if problems := file_problems(path, manifest, manifest["files"]):
        raise damaged(path, problems[0])
    return manifest


def verified_weights(path: Path) -> dict:
    """The manifest of checkpoint ``path`` after all checksums but the optimizer's held. Raises UserError otherwise."""
    manifest = read_checkpoint_manifest(path)
    if problems := file_problems(path, manifest, weight_files(manifest)):
        raise damaged(path, problems[0])
    return manifest


def file_problems(path: Path, manifest: dict, names: Iterable[str]) -> list[str]:
    """A line for each file of ``names`` that is not as the ``manifest`` of checkpoint ``path`` says."""

    def problem(name: str) -> str | None:
        try:
            return file_problem(path / name, manifest["files"][name])
        except OSError as error:
            return f"{path / name} cannot be read ({error.strerror or error})"

    with ThreadPoolExecutor(_THREADS) as pool:
        return [line for line in pool.map(problem, names) if line]


def damaged(path: Path, problem: str) -> UserError:
    """The error about a file of checkpoint ``path``."""
    return UserError(f"checkpoint {path} is damaged: {problem}; use an older one")


def weight_files(manifest: dict) -> list[str]:
    """The files of a checkpoint that it takes to load its weights: all but the optimizer's."""
    return [name for name in manifest["files"] if not name.startswith(f"{STATE}/{OPTIMIZER_FILES}")]


def share_of_files(manifest: dict, names: Collection[str], rank: int, ranks: int) -> list[str]:
    """The files of ``names`` that ``rank`` of ``ranks`` verifies: about as many bytes as the others, and if that can
    be had those that it has written and will read again.
    """
    loads, mine = [0] * ranks, []
    sizes = {name: manifest["files"][name]["bytes"] for name in names}
    fair = 1.1 * sum(sizes.values()) / ranks
    for name in sorted(names, key=lambda name: (-sizes[name], name)):
        written = _WRITER.search(name)
        chosen = int(written[1]) % ranks if written else 0
        if loads[chosen] + sizes[name] > fair:
            chosen = loads.index(min(loads))
        loads[chosen] += sizes[name]
        if chosen == rank:
            mine.append(name)
    return mine


def base_reference(base: Path) -> dict[str, str]:
    """What names checkpoint ``base`` in those of adapters on it: an absolute path, and its manifest's checksum."""
    return {"path": str(base.resolve()), "manifest_sha256": sha256_file(base / MANIFEST)}


def adapter_section(adapter: dict, base: dict[str, str], checkpoint: Path) -> dict:
    """The manifest's ``adapter`` for ``checkpoint``; the way to the base is kept relative, so that both may move."""
    path = os.path.relpath(base["path"], checkpoint.resolve())
    return {**adapter, "base": {**base, "path": path}}


def base_of(checkpoint: Path, manifest: dict, given: Path | None = None, now: Path | None = None) -> Path:
    """The checkpoint that the adapters in ``checkpoint`` are trained on: ``given``, or where the manifest says, or
    ``now``, if it has moved there.

    Raises UserError if it is gone or another one.
    """
    section, load = manifest["adapter"]["base"], manifest["config"]["checkpoint"]["load"]
    places = [given] if given else [checkpoint.resolve() / section["path"], Path(load), *([now] if now else [])]
    found = [Path(os.path.normpath(place)) for place in places if (place / MANIFEST).is_file()]
    if not found:
        raise UserError(
            f"{checkpoint} holds adapters on the weights of {given or load}, which are not there; put that checkpoint "
            "back"
        )
    for place in found:
        if sha256_file(place / MANIFEST) == section["manifest_sha256"]:
            return place
    raise UserError(
        f"{found[0]} is not the checkpoint that the adapters in {checkpoint} were trained on (its manifest has another "
        "checksum); put the right one back"
    )


def weights_chain(
    checkpoint: Path, base: Path | None = None, verify: Callable[[Path], dict] = verified_weights
) -> list[tuple[Path, dict]]:
    """``checkpoint`` with its manifest and, behind adapters, what they were trained on, down to whole weights.

    ``base`` says where the first base lies, if not where the manifest says. ``verify`` reads each manifest,
    and by default verifies every checksum but the optimizer's. Raises UserError if something is missing, damaged or
    changed.
    """
    chain = [(checkpoint, verify(checkpoint))]
    while "adapter" in chain[-1][1]:
        place = base_of(*chain[-1], base)
        chain.append((place, verify(place)))
        base = None
    if base is not None:
        raise UserError(f"{checkpoint} holds whole weights, no adapters; leave --base out")
    return chain


def checkpoint_name(step: int) -> str:
    """The folder of the checkpoint after ``step``."""
    return f"step-{step:08d}"


def prune_checkpoints(folder: Path, keep: int, steps: Collection[int] = ()) -> None:
    """Remove all but the newest ``keep`` checkpoints, those of ``steps`` and the best one, and what killed runs left
    half-written.
    """
    kept = {(folder / BEST).resolve(), *((folder / checkpoint_name(step)).resolve() for step in steps)}
    for path in [*list_checkpoints(folder)[:-keep], *folder.glob(".step-*.tmp")]:
        if path.resolve() not in kept:
            shutil.rmtree(path)


def mark_best(folder: Path, step: int) -> None:
    """Let ``folder/best`` lead to the checkpoint of ``step``."""
    temporary = folder / f".{BEST}.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(checkpoint_name(step))
    os.replace(temporary, folder / BEST)
    sync_directory(folder)
