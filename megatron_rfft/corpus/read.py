"""Reading a corpus back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file
from megatron_rfft.common.manifest import read_manifest

_HINT = "write the corpus with rfft generate"


def corpus_manifest(folder: Path | str) -> dict[str, Any]:
    """The manifest of the corpus in ``folder``. Raises UserError if there is no finished corpus."""
    return read_manifest(require_file(Path(folder) / "manifest.json", _HINT), "corpus")


def read_records(folder: Path | str) -> Iterator[dict[str, Any]]:
    """The records in the order of the corpus, one at a time. Raises UserError for a missing shard or a broken line."""
    for name in corpus_manifest(folder)["files"]:
        yield from read_shard(Path(folder) / name)


def read_shard(path: Path | str) -> Iterator[dict[str, Any]]:
    """The records of one shard. Raises UserError if it is missing, or with the line that is broken."""
    path = require_file(path, _HINT)
    with open(path, encoding="utf-8") as handle:
        for number, line in enumerate(handle, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{path}, line {number}, is not JSON ({error}); {_HINT}") from error
