"""Reading a corpus back: each shard is the one that its manifest names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file, sha256_file
from megatron_rfft.common.manifest import read_manifest

_HINT = "write the corpus with rfft generate"


def corpus_manifest(folder: Path | str) -> dict[str, Any]:
    """The manifest of the corpus in ``folder``. Raises UserError if there is no finished corpus."""
    return read_manifest(require_file(Path(folder) / "manifest.json", _HINT), "corpus")


def read_records(folder: Path | str) -> Iterator[dict[str, Any]]:
    """The records in the order of the corpus, one at a time, each shard checked before its first one.

    Raises UserError for a shard that is missing or was changed.
    """
    for name, entry in corpus_manifest(folder)["files"].items():
        yield from read_shard(Path(folder) / name, entry)


def read_shard(path: Path, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of one shard. Raises UserError if it is not the one of its manifest's ``entry``."""
    require_size(path, entry)
    require_unchanged(path, entry["sha256"], sha256_file(path))
    with open(path, encoding="utf-8") as handle:
        yield from map(json.loads, handle)


def require_size(shard: Path, entry: dict[str, Any]) -> Path:
    """Return ``shard``. Raises UserError if it is missing or longer or shorter than its manifest's ``entry`` says."""
    if not shard.is_file():
        raise UserError(f"{shard} is missing from its corpus; generate it again")
    if (size := shard.stat().st_size) != entry["bytes"]:
        raise UserError(f"{shard} has {size} bytes, its manifest says {entry['bytes']}; generate the corpus again")
    return shard


def require_unchanged(shard: Path, stated: str, found: str) -> None:
    """Raise UserError unless the checksum ``found`` is the one that the shard's manifest has ``stated``."""
    if stated != found:
        raise UserError(
            f"{shard} was changed after it was written: its corpus' manifest has another checksum; generate the corpus "
            "again"
        )
