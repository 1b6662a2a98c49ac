"""The model to be measured: an HF folder, with or without our manifest beside it."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, require_directory, require_file, sha256_file
from megatron_rfft.common.manifest import read_manifest
from megatron_rfft.conversion.storage.weight_files import weight_files
from megatron_rfft.tasks import current_name
from megatron_rfft.training.checkpoint_files import MODEL_KIND, MODEL_MANIFEST


@dataclass(frozen=True)
class ModelFolder:
    """An HF folder and what evaluation needs to know of it."""

    path: Path
    sha256: str
    """Of configuration, tokenizer and weights together: what decides every answer."""
    max_positions: int
    """Longest sequence, prompt and answer, in tokens."""
    manifest: dict[str, Any] | None
    """Ours, without its file list; None for a model that was not made by this project."""

    @property
    def form(self) -> str | None:
        """The prompt form that it was trained on."""
        return (self.manifest or {}).get("form")

    @property
    def chat(self) -> bool:
        """Whether it was trained on prompts in its tokenizer's chat template."""
        return bool((self.manifest or {}).get("chat"))

    @property
    def bos_id(self) -> int | None:
        """The token that began each text in its training, if one did."""
        return (self.manifest or {}).get("bos_id")

    @cached_property
    def declared_stops(self) -> list[int]:
        """Tokens that end an answer, besides the one that the tokenizer declares."""
        return declared_stops(self.path)

    @property
    def tokenizer(self) -> Path:
        """What has its tokenizer."""
        return self.path

    @property
    def identity(self) -> str:
        """What makes two runs' models the same."""
        return self.sha256

    def describe(self) -> dict[str, Any]:
        """What a result says of it."""
        stops = {"declared_stops": self.declared_stops} if len(self.declared_stops) > 1 else {}
        return {"name": self.path.resolve().name, "sha256": self.sha256, "manifest": self.manifest, **stops}

    def trained_lengths(self, task: str) -> list[int]:
        """The lengths of ``task`` that it was trained on; none where that is not known."""
        known = (self.manifest or {}).get("trained_lengths", {})
        return sorted({length for name, lengths in known.items() if current_name(name) == task for length in lengths})


@dataclass(frozen=True)
class ServedModel:
    """A model behind a server's HTTP address: known are its name, and what the folder of its tokenizer says."""

    name: str
    base_url: str
    tokenizer: Path | None = None
    """Its folder, or tokenizer.json; None: the model is asked as text."""
    form: str | None = None
    chat: bool = True
    bos_id: int | None = None
    declared_stops: list[int] = field(default_factory=list)

    @property
    def identity(self) -> str:
        return self.name

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "sha256": None, "manifest": None}

    def trained_lengths(self, task: str) -> list[int]:
        return []


AnyModel = ModelFolder | ServedModel


def open_model(path: Path | str) -> ModelFolder:
    """Read and checksum an HF folder. Raises UserError for a missing part, or one that differs from the manifest."""
    path = require_directory(path, "give the folder of an HF model")
    config = read_json(require_file(path / "config.json", "an HF model folder holds a config.json"))
    require_file(path / "tokenizer.json", "an HF model folder holds a tokenizer.json")
    weights = weight_files(path)
    if not isinstance(max_positions := config.get("max_position_embeddings"), int):
        raise UserError(f"{path / 'config.json'} has no max_position_embeddings; set it to the model's context length")
    checksums = _checksums([path / "config.json", path / "tokenizer.json", *weights])
    manifest = None
    if (path / MODEL_MANIFEST).is_file():
        manifest = read_manifest(path / MODEL_MANIFEST, MODEL_KIND)
        _compare(path, checksums, manifest.pop("files", {}))
    digest = hashlib.sha256("".join(f"{name} {sha}\n" for name, sha in checksums.items()).encode()).hexdigest()
    return ModelFolder(path, digest, max_positions, manifest)


def tokenizer_facts(folder: Path) -> tuple[int | None, list[int]]:
    """``bos_id`` and ``declared_stops`` of a served model, from the folder that has its tokenizer."""
    file = folder / MODEL_MANIFEST
    manifest = read_manifest(file, MODEL_KIND) if file.is_file() else {}
    return manifest.get("bos_id"), declared_stops(folder)


def declared_stops(folder: Path) -> list[int]:
    """All ``eos_token_id`` of a folder's generation config.

    Chat models end their turns by other tokens than texts. A model trained here declares the one it was taught.
    """
    file = folder / "generation_config.json"
    declared = read_json(file).get("eos_token_id") if file.is_file() else None
    return [token for token in (declared if isinstance(declared, list) else [declared]) if isinstance(token, int)]


def _checksums(files: Iterable[Path]) -> dict[str, str]:
    files = list(files)
    with ThreadPoolExecutor() as pool:  # hashing releases the GIL
        return dict(zip((file.name for file in files), pool.map(sha256_file, files), strict=True))


def _compare(path: Path, checksums: dict[str, str], entries: dict[str, dict]) -> None:
    for name, checksum in checksums.items():
        if name in entries and entries[name]["sha256"] != checksum:
            raise UserError(f"{path / name} differs from the checksum in {MODEL_MANIFEST}; export the model again")
