"""Tokenized documents with their loss boundary: ``PREFIX.bin/.idx`` plus ``.docs.npy``, ``.manifest.json``, tokenizer.

A document is encode(prompt) + encode(response) + stop token. Prompt and response are encoded apart, so that the
boundary is a token boundary and evaluation sees the same prompt ids as training did.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Annotated, Any

import msgspec
import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory, require_file
from megatron_rfft.common.manifest import DamagedManifest, read_manifest
from megatron_rfft.data.indexed import IndexedTokens, token_dtype, with_suffix
from megatron_rfft.tasks import current_name

DOCUMENT_DTYPE = np.dtype([("response_start", "<i4"), ("task", "<u2"), ("length", "<u2")])
"""One row per document: index of the first response token, index into the manifest's tasks, the problem's length."""

MANIFEST_KIND = "dataset"


@dataclass(frozen=True)
class DatasetPaths:
    """The files of the data set ``prefix``."""

    prefix: Path

    @property
    def documents(self) -> Path:
        return with_suffix(self.prefix, ".docs.npy")

    @property
    def manifest(self) -> Path:
        return with_suffix(self.prefix, ".manifest.json")

    @property
    def tokenizer(self) -> Path:
        return with_suffix(self.prefix, ".tokenizer")

    @property
    def parts(self) -> Path:
        """Folder of what is tokenized so far, while a run is under way."""
        return with_suffix(self.prefix, ".parts")

    @property
    def binaries(self) -> list[Path]:
        return [with_suffix(self.prefix, ".bin"), with_suffix(self.prefix, ".idx"), self.documents]


class _Fields(msgspec.Struct):
    skip_bad: bool


class _Inputs(msgspec.Struct):
    source: dict[str, Any]
    tokenizer_sha256: str
    stop_id: int
    chat: bool
    chat_template_sha256: str | None
    max_tokens: int | None
    skip_too_long: bool
    fields: _Fields
    bos_id: int | None = None


class _Config(msgspec.Struct):
    vocab_size: int
    stop_id: int
    max_tokens: int
    bos_id: int | None = None


class _Counts(msgspec.Struct):
    documents: int
    tokens: int
    target_tokens: int


class _Skipped(msgspec.Struct):
    bad: int
    too_long: int


class _Manifest(msgspec.Struct):
    """What every manifest of a data set holds; there may be more."""

    config: _Config
    inputs: _Inputs
    engine: str
    form: str | None
    chat: bool
    tasks: list[str]
    lengths: dict[str, list[int]]
    counts: _Counts
    per_task: dict[str, dict[str, int]]
    skipped: _Skipped
    splits: dict[str, Annotated[int, msgspec.Meta(ge=1)]] | None = None


def read_dataset_manifest(paths: DatasetPaths) -> dict[str, Any]:
    """The manifest of a data set. Raises UserError if it is missing, or lacks a field or the checksum of a file."""
    file = require_file(paths.manifest, "give the prefix that rfft tokenize wrote (without .bin)")
    manifest = read_manifest(file, MANIFEST_KIND)
    try:
        msgspec.convert(manifest, _Manifest)
    except msgspec.ValidationError as error:
        raise DamagedManifest(f"{file} is damaged ({error}); tokenize the corpus again") from error
    for needed in (*paths.binaries, paths.tokenizer / "tokenizer.json"):
        if (name := needed.relative_to(file.parent).as_posix()) not in manifest["files"]:
            raise DamagedManifest(f"{file} is damaged (it has no checksum of {name}); tokenize the corpus again")
    return manifest


class Documents:
    """A data set on disk: token arrays with their response starts.

    Raises UserError where a part is missing or cut short, and, with ``check``, where the parts contradict one another.
    Checksums are for tokenization/integrity.py and tokenization/verify.py.
    """

    def __init__(self, prefix: Path | str, check: bool = True):
        self.paths = DatasetPaths(Path(prefix))
        self.manifest = read_dataset_manifest(self.paths)
        require_directory(self.paths.tokenizer, "the corpus lies there without its tokenizer: tokenize it again")
        require_file(self.paths.tokenizer / "tokenizer.json", "the corpus has lost its tokenizer: tokenize it again")
        require_file(self.paths.documents, "tokenize the corpus again: without it, nothing says where responses start")
        self.tokens = IndexedTokens(prefix)
        try:
            self.rows = np.load(self.paths.documents, allow_pickle=False)
        except (ValueError, OSError, EOFError, MemoryError, TokenError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{self.paths.documents} is damaged ({reason}); tokenize the corpus again") from error
        if self.rows.dtype != DOCUMENT_DTYPE or len(self.rows) != len(self.tokens):
            raise UserError(f"{self.paths.documents} does not belong to its .idx; tokenize the corpus again")
        if check and (problems := self.contradictions()):
            raise UserError(f"{self.paths.prefix} is damaged: {problems[0]}; tokenize the corpus again")

    def __len__(self) -> int:
        return len(self.rows)

    def contradictions(self) -> list[str]:
        """What cannot be in the index, the boundaries and the manifest, a line each; no token is looked at."""
        tokens, rows, config = self.tokens, self.rows, self.manifest["config"]
        lengths = tokens.lengths.astype(np.int64)
        starts = np.cumsum(lengths) - lengths
        checks = {
            "the .idx has documents without tokens": lengths < 1,
            "the .idx has documents that do not follow one another": tokens.offsets != starts * tokens.dtype.itemsize,
            "the .idx has boundaries that are no document's": tokens.boundaries != np.arange(len(lengths) + 1),
            "a response begins outside of its document": (rows["response_start"] < 1)
            | (rows["response_start"] >= lengths),
            "a document belongs to no task of the manifest": rows["task"] >= len(self.manifest["tasks"]),
            "a document is longer than the manifest's max_tokens": lengths > config["max_tokens"],
        }
        problems = [] if tokens.dtype == token_dtype(config["vocab_size"]) else [f"its tokens are {tokens.dtype}"]
        return problems + describe_wrong(checks) + _contradictions_in(self.manifest)

    @property
    def checksum(self) -> str:
        """Of all that is trained on: tokens, boundaries, tasks and tokenizer, wherever the data set lies."""
        files = {file.name.removeprefix(self.paths.prefix.name): self._sha256_of(file) for file in self.paths.binaries}
        said = [files, self._sha256_of(self.paths.tokenizer / "tokenizer.json"), self.manifest["tasks"]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _sha256_of(self, file: Path) -> str:
        return self.manifest["files"][file.relative_to(self.paths.manifest.parent).as_posix()]["sha256"]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per document, int32 ``[num_documents]``."""
        return self.tokens.lengths

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that ``rows`` number, as they are today; one that was renamed may be there twice."""
        return [current_name(task) for task in self.manifest["tasks"]]

    @property
    def vocab_size(self) -> int:
        """Ids that the tokenizer knows."""
        return self.manifest["config"]["vocab_size"]

    @property
    def ids_in_use(self) -> int:
        """The largest id that occurs, plus one: tokenizers may know ids that no embedding has a row for.

        Data sets of earlier versions do not say; then all of the tokenizer's.
        """
        return self.manifest["config"].get("ids_in_use", self.vocab_size)

    @property
    def splits(self) -> dict[str, int] | None:
        """Documents by split of instances (train, validation, test), of those whose record names one.

        None for data sets of earlier versions, which do not say.
        """
        return self.manifest.get("splits")


def _contradictions_in(manifest: dict[str, Any]) -> list[str]:
    """What a manifest says in two ways."""
    config, inputs, skipped = manifest["config"], manifest["inputs"], manifest["skipped"]
    limit, per_task = inputs["max_tokens"], manifest["per_task"]
    in_splits = sum((manifest.get("splits") or {}).values())
    sums = {what: sum(counts.get(what, 0) for counts in per_task.values()) for what in manifest["counts"]}
    checks = {
        "two stop tokens": config["stop_id"] != inputs["stop_id"],
        "two lists of tasks": not set(manifest["tasks"]) == set(per_task) == set(manifest["lengths"]),
        "counts that are not the sums of its tasks'": sums != manifest["counts"],
        "two tokens of the beginning": config.get("bos_id") != inputs.get("bos_id"),
        "that prompts are in the chat template, and that they are not": manifest["chat"] != inputs["chat"],
        "a limit of tokens that its own documents exceed": limit is not None and config["max_tokens"] > limit,
        "more instances of splits than documents": in_splits > manifest["counts"]["documents"],
        "that bad records were refused, and left out": skipped["bad"] and not inputs["fields"]["skip_bad"],
        "that long documents were refused, and left out": skipped["too_long"] and not inputs["skip_too_long"],
    }
    return [f"the manifest states {what}" for what, wrong in checks.items() if wrong]


def describe_wrong(checks: Mapping[str, np.ndarray]) -> list[str]:
    """A line for each check (bool arrays by what is wrong where they are true) that found something."""
    return [
        f"{what} ({np.count_nonzero(wrong)} in all, the first is number {int(np.argmax(wrong))})"
        for what, wrong in checks.items()
        if np.any(wrong)
    ]
