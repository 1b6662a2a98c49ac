"""Reading a corpus back: each shard is the one that its manifest names."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file
from megatron_rfft.common.manifest import DamagedManifest, file_problem, read_manifest

_HINT = "write the corpus with rfft generate"


class _Config(msgspec.Struct):
    split: str
    form: str
    num_shards: int


class _Counts(msgspec.Struct):
    records: int
    cells: dict[str, dict[str, int]]


class _Manifest(msgspec.Struct):
    """What every manifest of a corpus holds; there is more."""

    config: _Config
    counts: _Counts


def corpus_manifest(folder: Path | str) -> dict[str, Any]:
    """The manifest of the corpus in ``folder``. Raises UserError if there is no finished corpus.

    A manifest that names too few shards is refused: the others would be missed without a word.
    """
    file = require_file(Path(folder) / "manifest.json", _HINT)
    manifest = read_manifest(file, "corpus")
    try:
        stated = msgspec.convert(manifest, _Manifest)
    except msgspec.ValidationError as error:
        raise DamagedManifest(f"{file} is damaged ({error}); generate the corpus again") from error
    in_cells = sum(sum(by_length.values()) for by_length in stated.counts.cells.values())
    for what, one, other in (
        ("shards", stated.config.num_shards, len(manifest["files"])),
        ("records", stated.counts.records, in_cells),
    ):
        if one != other:
            raise DamagedManifest(f"{file} is damaged (it states {one} and {other} {what}); generate the corpus again")
    return manifest


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


def require_shard(
    shard: Path, entry: dict[str, Any], found: Callable[[], str] | None = None, hashed: bool = True
) -> Path:
    """Return ``shard``. Raises UserError if it is not the one of its manifest's ``entry``, as ``file_problem`` says."""
    if problem := file_problem(shard, entry, found, hashed):
        raise UserError(f"{problem}; generate the corpus again")
    return shard
