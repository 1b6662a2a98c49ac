"""Reading a corpus back: each shard is the one that its manifest names."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file, sha256_file
from megatron_rfft.common.manifest import file_problem, read_manifest

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
    require_shard(path, entry)
    with open(path, encoding="utf-8") as handle:
        yield from map(json.loads, handle)


def require_shard(shard: Path, entry: dict[str, Any], sha256: Callable[[Path], str] | None = sha256_file) -> Path:
    """Return ``shard``. Raises UserError if it is not the one of its manifest's ``entry``, as ``file_problem`` says."""
    if problem := file_problem(shard, entry, sha256):
        raise UserError(f"{problem}; generate the corpus again")
    return shard
