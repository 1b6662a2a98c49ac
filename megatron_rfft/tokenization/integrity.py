"""Whether the files of data sets are those of their manifests: small ones at once, the tokens beside other work."""

import sys
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.common.restart import finished_manifest
from megatron_rfft.data.documents import MANIFEST_KIND, DatasetPaths, Documents
from megatron_rfft.tokenization.tokenizers import load_tokenizer


def finished_dataset(paths: DatasetPaths, inputs: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest of a data set that is already there, made from the same ``inputs`` and whole; else None.

    Raises UserError if it was made from other inputs: it is not overwritten.
    """
    if not paths.manifest.is_file():
        return None
    if manifest := finished_manifest(paths.manifest, MANIFEST_KIND, inputs):
        try:
            problems = tokenizer_problems(Documents(paths.prefix))
        except UserError as error:
            problems = [str(error)]
        if not problems:
            return manifest
    print(f"note: {paths.prefix} is damaged; making it anew", file=sys.stderr)
    return None


def check_small_files(parts: Iterable[Documents]) -> None:
    """Raise UserError for a file, other than those of tokens, that is not the one in its data set's manifest, and for a
    manifest that is not the tokenizer's.
    """
    known: dict[Any, dict[str, int]] = {}
    for part in parts:
        tokens = part.paths.binaries[0]
        for name, entry in part.manifest["files"].items():
            file = part.paths.manifest.parent / name
            if file != tokens and (problem := _problem(file, entry["sha256"])):
                raise UserError(problem)
        if problems := tokenizer_problems(part, known):
            raise UserError(f"{part.paths.prefix} is damaged: {problems[0]}; tokenize the corpus again")


def tokenizer_problems(part: Documents, known: dict[Any, dict[str, int]] | None = None) -> list[str]:
    """What the manifest says of the tokenizer beside it that is not so, and files of it without a checksum.

    A large vocabulary takes a second to load. ``known`` keeps what was found for the next data set whose tokenizer has
    the same files, by their checksums: they have to be checked before.
    """
    files, folder = part.manifest["files"], part.paths.manifest.parent
    names = sorted(file.relative_to(folder).as_posix() for file in part.paths.tokenizer.iterdir() if file.is_file())
    problems = [f"the manifest has no checksum of {name}" for name in names if name not in files]
    key = tuple((Path(name).name, files.get(name, {}).get("sha256")) for name in names)
    found = None if problems or known is None else known.get(key)
    if found is None:
        tokenizer = load_tokenizer(part.paths.tokenizer)
        found = {"vocab_size": tokenizer.vocab_size, "stop_id": tokenizer.stop_id}
        if known is not None and not problems:
            known[key] = found
    for name, value in found.items():
        if (stated := part.manifest["config"][name]) != value:
            problems.append(f"the manifest says config.{name} {stated}, its tokenizer {value}")
    return problems


class TokensCheck:
    """Hashes the data sets' ``.bin`` in a thread of its own, which does not outlive the process."""

    def __init__(self, parts: Iterable[Documents]):
        self._parts = list(parts)
        self._problem: str | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def problem(self) -> str | None:
        """What is wrong with the first damaged file, None if all are sound. Waits until that is known."""
        self._thread.join()
        return self._problem

    def _run(self) -> None:
        for part in self._parts:
            file = part.paths.binaries[0]
            self._problem = self._problem or _problem(file, part.manifest["files"][file.name]["sha256"])


def _problem(file: Path, checksum: str) -> str | None:
    try:
        found = sha256_file(file)
    except OSError as error:
        return f"{file} cannot be read ({error.strerror}); tokenize the corpus again"
    return None if found == checksum else f"{file} is not what its manifest says; tokenize the corpus again"
