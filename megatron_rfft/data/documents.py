"""Tokenized documents with their loss boundary: ``PREFIX.bin/.idx`` plus ``.docs.npy``, ``.manifest.json``, tokenizer.

A document is encode(prompt) + encode(response) + stop token. Prompt and response are encoded apart, so that the
boundary is a token boundary and evaluation sees the same prompt ids as training did.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory, require_file
from megatron_rfft.common.manifest import read_manifest
from megatron_rfft.data.indexed import IndexedTokens, with_suffix

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
    """A data set on disk: token arrays with their response starts. Raises UserError where a part is missing."""

    def __init__(self, prefix: Path | str):
        self.paths = DatasetPaths(Path(prefix))
        require_file(self.paths.manifest, "give the prefix that data_prep/tokenize_corpus.py wrote (without .bin)")
        self.manifest = read_manifest(self.paths.manifest, MANIFEST_KIND)
        require_directory(self.paths.tokenizer, "the corpus lies there without its tokenizer: tokenize it again")
        require_file(self.paths.tokenizer / "tokenizer.json", "the corpus has lost its tokenizer: tokenize it again")
        require_file(self.paths.documents, "tokenize the corpus again: without it, nothing says where responses start")
        self.tokens = IndexedTokens(prefix)
        self.rows = np.load(self.paths.documents, allow_pickle=False)
        if self.rows.dtype != DOCUMENT_DTYPE or len(self.rows) != len(self.tokens):
            raise UserError(f"{self.paths.documents} does not belong to its .idx; tokenize the corpus again")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per document, int32 ``[num_documents]``."""
        return self.tokens.lengths

    @property
    def vocab_size(self) -> int:
        """Ids that the tokenizer knows."""
        return self.manifest["config"]["vocab_size"]
