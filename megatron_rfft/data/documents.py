"""Tokenized documents with their loss boundary: ``PREFIX.bin/.idx`` plus ``.docs.npy``, ``.manifest.json``, tokenizer.

A document is encode(prompt) + encode(response) + stop token. Prompt and response are encoded apart, so that the
boundary is a token boundary and evaluation sees the same prompt ids as training did.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory, require_file
from megatron_rfft.common.manifest import read_manifest
from megatron_rfft.data.indexed import IndexedTokens, token_dtype, with_suffix

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
    def lock(self) -> Path:
        return self.prefix.with_name(f".{self.prefix.name}.lock")

    @property
    def binaries(self) -> list[Path]:
        return [with_suffix(self.prefix, ".bin"), with_suffix(self.prefix, ".idx"), self.documents]


class Documents:
    """A data set on disk: token arrays with their response starts.

    Raises UserError where a part is missing or cut short, and, with ``check``, where the parts contradict one another.
    Checksums are for data/integrity.py and data/verify.py.
    """

    def __init__(self, prefix: Path | str, check: bool = True):
        self.paths = DatasetPaths(Path(prefix))
        require_file(self.paths.manifest, "give the prefix that data_prep/tokenize_corpus.py wrote (without .bin)")
        self.manifest = read_manifest(self.paths.manifest, MANIFEST_KIND)
        require_directory(self.paths.tokenizer, "the corpus lies there without its tokenizer: tokenize it again")
        require_file(self.paths.tokenizer / "tokenizer.json", "the corpus has lost its tokenizer: tokenize it again")
        require_file(self.paths.documents, "tokenize the corpus again: without it, nothing says where responses start")
        self.tokens = IndexedTokens(prefix)
        try:
            self.rows = np.load(self.paths.documents, allow_pickle=False)
        except (ValueError, OSError, EOFError, MemoryError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{self.paths.documents} is damaged ({reason}); tokenize the corpus again") from error
        if self.rows.dtype != DOCUMENT_DTYPE or len(self.rows) != len(self.tokens):
            raise UserError(f"{self.paths.documents} does not belong to its .idx; tokenize the corpus again")
        if check and (problems := self.contradictions()):
            raise UserError(f"{self.paths.prefix} is damaged: {problems[0]}; tokenize the corpus again")

    def __len__(self) -> int:
        return len(self.rows)

    def contradictions(self) -> list[str]:
        """What cannot be in the index and the boundaries, a line each; the tokens are not looked at."""
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
        return problems + describe_wrong(checks)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per document, int32 ``[num_documents]``."""
        return self.tokens.lengths

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


def describe_wrong(checks: Mapping[str, np.ndarray]) -> list[str]:
    """A line for each check (bool arrays by what is wrong where they are true) that found something."""
    return [
        f"{what} ({np.count_nonzero(wrong)} in all, the first is number {int(np.argmax(wrong))})"
        for what, wrong in checks.items()
        if np.any(wrong)
    ]
