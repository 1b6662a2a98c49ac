"""Tokenized documents with their loss boundary: ``PREFIX.bin/.idx`` plus ``.docs.npy``, ``.manifest.json``, tokenizer.

A document is encode(prompt) + encode(response) + stop token. Prompt and response are encoded apart, so that the
boundary is a token boundary and evaluation sees the same prompt ids as training did.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, require_directory, require_file, sha256_file
from megatron_rfft.common.manifest import finished_manifest, read_manifest, write_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.corpus.read import corpus_manifest, read_records
from megatron_rfft.data.indexed import IndexedTokens, token_dtype, with_suffix, write_indexed
from megatron_rfft.data.tokenizers import Tokenizer, load_tokenizer

DOCUMENT_DTYPE = np.dtype([("response_start", "<i4"), ("task", "<u2"), ("length", "<u2")])
"""One row per document: index of the first response token, index into the manifest's tasks, the problem's length."""

MANIFEST_KIND = "dataset"
_BATCH = 1000


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
    def binaries(self) -> list[Path]:
        return [with_suffix(self.prefix, ".bin"), with_suffix(self.prefix, ".idx"), self.documents]


def write_dataset(
    prefix: Path | str,
    records: Iterable[dict],
    tokenizer: Tokenizer,
    *,
    inputs: dict,
    max_document_tokens: int | None = None,
    chat: bool = False,
) -> dict:
    """Tokenize corpus ``records`` into the data set ``prefix`` and return its manifest.

    ``inputs`` (checksums of corpus and tokenizer) goes into the manifest. With ``chat``, a prompt is the user's message
    in the tokenizer's chat template. A document over ``max_document_tokens``
    raises UserError: it is never truncated in silence.
    """
    paths = DatasetPaths(Path(prefix))
    writer = _DocumentWriter(tokenizer, max_document_tokens, chat)
    lengths = write_indexed(paths.prefix, writer.documents(records), token_dtype(tokenizer.vocab_size))
    if not len(lengths):
        raise UserError(f"the corpus for {prefix} holds no records; generate it again")
    with atomic_write(paths.documents, "wb") as handle:
        np.save(handle, np.array(writer.rows, dtype=DOCUMENT_DTYPE), allow_pickle=False)
    _save_tokenizer(paths, tokenizer, writer.sample)
    starts = np.array([row[0] for row in writer.rows])
    return write_manifest(
        paths.manifest,
        MANIFEST_KIND,
        [*paths.binaries, *(f for f in paths.tokenizer.iterdir() if f.is_file())],
        config={"vocab_size": tokenizer.vocab_size, "stop_id": tokenizer.stop_id, "max_tokens": int(lengths.max())},
        inputs=inputs,
        form=writer.form,
        chat=chat,
        tasks=writer.tasks,
        lengths=writer.lengths_by_task(),
        counts={
            "documents": len(lengths),
            "tokens": int(lengths.sum()),
            "target_tokens": int((lengths - starts).sum()),
        },
    )


def tokenize_corpus(
    corpus: Path, tokenizer_path: Path, prefix: Path, max_document_tokens: int | None = None, chat: bool = False
) -> dict[str, Any]:
    """Tokenize the corpus folder into the data set ``prefix``; a finished one of the same inputs is left as it is."""
    corpus_sha256 = sha256_file(require_file(corpus / "manifest.json", "write the corpus with data_prep/generate.py"))
    tokenizer = load_tokenizer(tokenizer_path)
    inputs = {"corpus_manifest_sha256": corpus_sha256, "tokenizer_sha256": tokenizer.sha256, "chat": chat}
    paths = DatasetPaths(prefix)
    if finished := finished_manifest(paths.manifest, MANIFEST_KIND, inputs):
        return finished
    total = corpus_manifest(corpus)["counts"]["records"]
    with progress_bar(total, f"tokenize {prefix.name}", "document") as bar:
        records = (record for record in read_records(corpus) if bar.update(1) or True)
        return write_dataset(
            prefix, records, tokenizer, inputs=inputs, max_document_tokens=max_document_tokens, chat=chat
        )


def _save_tokenizer(paths: DatasetPaths, tokenizer: Tokenizer, sample: list[str]) -> None:
    temporary = with_suffix(paths.tokenizer, ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    tokenizer.save_pretrained(temporary, sample)
    shutil.rmtree(paths.tokenizer, ignore_errors=True)
    temporary.rename(paths.tokenizer)


class _DocumentWriter:
    """Turns records into token arrays, remembering each document's row."""

    def __init__(self, tokenizer: Tokenizer, max_document_tokens: int | None, chat: bool):
        self.tokenizer = tokenizer
        self.chat = chat
        self.max_document_tokens = max_document_tokens
        self.rows: list[tuple[int, int, int]] = []
        self.tasks: list[str] = []
        self.form: str | None = None
        self.sample: list[str] = []
        """The first texts, on which the exported tokenizer is proven."""

    def documents(self, records: Iterable[dict]) -> Iterator[np.ndarray]:
        for batch in _batches(records, _BATCH):
            texts = [text for record in batch for text in (self._prompt(record), record["response"])]
            ids = self.tokenizer.encode_batch(texts)
            self.sample = self.sample or texts
            for record, prompt, response in zip(batch, ids[::2], ids[1::2], strict=True):
                yield self._document(record, prompt, response)

    def _prompt(self, record: dict) -> str:
        return self.tokenizer.chat_prompt(record["prompt"]) if self.chat else record["prompt"]

    def _document(self, record: dict, prompt: list[int], response: list[int]) -> np.ndarray:
        document = np.array([*prompt, *response, self.tokenizer.stop_id])
        if self.max_document_tokens is not None and len(document) > self.max_document_tokens:
            raise UserError(
                f"document {record['id']} has {len(document)} tokens, over the limit of {self.max_document_tokens}; "
                "raise --max-tokens or generate shorter lengths"
            )
        if self.form is not None and record["form"] != self.form:
            raise UserError(
                f"document {record['id']} has form {record['form']!r} among {self.form!r}; use one corpus a form"
            )
        if not prompt:
            raise UserError(f"document {record['id']} has no prompt tokens; its first token could not be predicted")
        self.form = record["form"]
        if record["task"] not in self.tasks:
            self.tasks.append(record["task"])
        self.rows.append((len(prompt), self.tasks.index(record["task"]), record["length"]))
        return document

    def lengths_by_task(self) -> dict[str, list[int]]:
        found: dict[str, set[int]] = {task: set() for task in self.tasks}
        for _, task, length in self.rows:
            found[self.tasks[task]].add(length)
        return {task: sorted(lengths) for task, lengths in sorted(found.items())}


def _batches(records: Iterable[dict], size: int) -> Iterator[list[dict]]:
    batch = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


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
