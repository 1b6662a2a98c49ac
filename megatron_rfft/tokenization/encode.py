"""Documents to tokens: prompt, response and stop token, many at a time and without a Python object per token."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.tokenization.chunks import Chunk
from megatron_rfft.tokenization.engines import FlatIds, flatten, load_engine
from megatron_rfft.tokenization.options import Encoding
from megatron_rfft.tokenization.records import Document, Skipped, read_documents, refuse
from megatron_rfft.tokenization.tokenizers import Prompt, load_tokenizer

PART_DTYPE = np.dtype([("tokens", "<i4"), ("response_start", "<i4"), ("task", "<u2"), ("length", "<u2")])
"""One row per document of a part: its tokens, and the row of ``.docs.npy`` with the part's own numbers of tasks."""

_BATCH_DOCUMENTS, _BATCH_CHARACTERS = 1000, 4 << 20


@dataclass
class Batch:
    """Documents end to end."""

    tokens: np.ndarray
    """Ids of all documents, ``Encoding.dtype``."""
    rows: np.ndarray
    """PART_DTYPE, one per document."""
    documents: list[Document]


@dataclass
class ChunkSummary:
    """What a chunk was found to hold, filled while it is encoded."""

    tasks: list[str] = field(default_factory=list)
    """In the order in which they occur."""
    form: str | None = None
    lengths: dict[str, set[int]] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By task and one of documents, tokens, target_tokens."""
    splits: Counter[str] = field(default_factory=Counter)
    """Documents by split of instances, of those that name one."""
    largest_id: int = -1
    skipped: Skipped = field(default_factory=Skipped)

    def facts(self) -> dict[str, Any]:
        """As JSON values: form, tasks, documents, splits, counts and lengths by task, largest id, skipped."""
        counts: dict[str, dict[str, int]] = {}
        for (task, what), count in self.counts.items():
            counts.setdefault(task, {})[what] = count
        return {
            "documents": sum(each["documents"] for each in counts.values()),
            "form": self.form,
            "tasks": self.tasks,
            "splits": dict(self.splits),
            "counts": counts,
            "lengths": {task: sorted(lengths) for task, lengths in self.lengths.items()},
            "largest_id": self.largest_id,
            "skipped": asdict(self.skipped),
        }


def encode_chunk(chunk: Chunk, encoding: Encoding, summary: ChunkSummary) -> Iterator[Batch]:
    """The documents of a chunk, in batches. Raises UserError for documents that are refused, with file and line."""
    encode, wrap = _encoder(encoding.tokenizer, encoding.engine, encoding.options.chat, encoding.options.stop_token)
    numbers: dict[str, int] = {}
    for documents in _batches(read_documents(chunk, encoding.options.fields, summary.skipped, wrap)):
        if encoding.engine == "sentencepiece":
            documents = _without_written(documents, chunk, encoding, summary)
            if not documents:
                continue
        for document in documents:
            _check_form(document, chunk, summary)
            if numbers.setdefault(document.task, len(numbers)) == len(summary.tasks):
                summary.tasks.append(document.task)
        texts = [text for document in documents for text in (document.prompt, document.response)]
        batch = _assemble(documents, encode(texts), numbers, encoding)
        batch = _without_special(batch, chunk, encoding, summary)
        batch = _without_too_long(batch, chunk, encoding, summary)
        if len(batch.rows):
            _count(batch, summary)
            yield batch


@lru_cache(maxsize=1)
def _encoder(
    tokenizer: Path, engine: str, chat: bool, stop_token: str | None
) -> tuple[Callable[[list[str]], FlatIds], Callable[[Prompt], str] | None]:
    """How texts are encoded, and prompts put into the chat template; loaded once in each process."""
    wrap = load_tokenizer(tokenizer, stop_token).chat_prompt if chat else None
    if engine == "sentencepiece":
        loaded = load_tokenizer(tokenizer, stop_token)
        return lambda texts: flatten(loaded.encode_batch(texts)), wrap
    return load_engine(engine, tokenizer), wrap


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.prompt) + len(document.response)
        if len(batch) == _BATCH_DOCUMENTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _check_form(document: Document, chunk: Chunk, summary: ChunkSummary) -> None:
    if summary.form is None:
        summary.form = document.form
    if document.form != summary.form:
        raise UserError(
            f"{chunk.place(document.row)}: form {document.form!r} among {summary.form!r}; make one data set a form"
        )


def _assemble(documents: list[Document], encoded: FlatIds, numbers: dict[str, int], encoding: Encoding) -> Batch:
    """Put the stop token (and that of the beginning) between the ids of prompts and responses that alternate."""
    ids, offsets = encoded
    starts, responses, ends = offsets[:-1:2], offsets[1::2], offsets[2::2]
    has_bos = encoding.bos_id is not None
    tokens = np.empty(len(ids) + len(documents) * (1 + has_bos), encoding.dtype)
    place = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):  # 4 times as fast as numpy.insert
        if has_bos:
            tokens[place] = encoding.bos_id
            place += 1
        tokens[place : place + end - start] = ids[start:end]
        place += end - start
        tokens[place] = encoding.stop_id
        place += 1
    rows = np.empty(len(documents), PART_DTYPE)
    rows["tokens"] = ends - starts + 1 + has_bos
    rows["response_start"] = responses - starts + has_bos
    rows["task"] = [numbers[document.task] for document in documents]
    rows["length"] = [document.length for document in documents]
    return Batch(tokens, rows, documents)


def written_token(document: Document, tokens: Iterable[str]) -> str | None:
    """The first of ``tokens`` that is written out in the document's texts; None if none is."""
    return next((token for token in tokens if token in document.prompt or token in document.response), None)


def _without_written(
    documents: list[Document], chunk: Chunk, encoding: Encoding, summary: ChunkSummary
) -> list[Document]:
    """The documents that write no special token: SentencePiece takes it for text, its ``tokenizer.json`` does not."""
    kept = []
    for document in documents:
        if (token := written_token(document, encoding.special_tokens.values())) is None:
            kept.append(document)
        else:
            reason = f"the text holds the special token {token!r}"
            refuse(chunk, document.row, reason, "remove it", encoding.options.fields, summary.skipped)
    return kept


def _without_special(batch: Batch, chunk: Chunk, encoding: Encoding, summary: ChunkSummary) -> Batch:
    """The batch without documents whose response holds a special token: the loss would teach to write it there."""
    is_special = np.zeros(encoding.vocab_size, bool)
    is_special[list(encoding.special_tokens)] = True
    lengths = batch.rows["tokens"].astype(np.int64)
    ends = np.cumsum(lengths)
    found = np.flatnonzero(is_special[batch.tokens])
    number = np.searchsorted(ends, found, side="right")
    in_response = found - (ends - lengths)[number] >= batch.rows["response_start"][number]
    wrong = in_response & (found < ends[number] - 1)  # the last one is the stop token
    if not wrong.any():
        return batch
    kept = np.ones(len(batch.rows), bool)
    for place, document in zip(found[wrong].tolist(), number[wrong].tolist(), strict=True):
        if kept[document]:
            token = encoding.special_tokens[int(batch.tokens[place])]
            reason = f"the response holds the special token {token!r}"
            refuse(chunk, batch.documents[document].row, reason, "remove it", encoding.options.fields, summary.skipped)
        kept[document] = False
    return _only(batch, kept)


def _only(batch: Batch, kept: np.ndarray) -> Batch:
    """The documents for which ``kept`` (bool ``[num_documents]``) is true."""
    tokens = batch.tokens[np.repeat(kept, batch.rows["tokens"])]
    documents = [document for document, keep in zip(batch.documents, kept, strict=True) if keep]
    return Batch(tokens, batch.rows[kept], documents)


def _without_too_long(batch: Batch, chunk: Chunk, encoding: Encoding, summary: ChunkSummary) -> Batch:
    """The batch without documents over the limit, noted in ``summary``; with no skipping, UserError for the first."""
    empty = np.flatnonzero(batch.rows["response_start"] == 0)
    if len(empty):
        place = chunk.place(batch.documents[empty[0]].row)
        raise UserError(f"{place}: the prompt has no tokens, so its response's first could not be predicted; fix it")
    if encoding.options.max_tokens is None or batch.rows["tokens"].max(initial=0) <= encoding.options.max_tokens:
        return batch
    kept = batch.rows["tokens"] <= encoding.options.max_tokens
    for number in np.flatnonzero(~kept):
        named = len(summary.skipped.first) < 5 or not encoding.options.skip_too_long
        message = (
            f"{chunk.place(batch.documents[number].row)}: the document has {batch.rows['tokens'][number]} tokens, "
            f"over the limit of {encoding.options.max_tokens}"
            if named
            else ""
        )
        if not encoding.options.skip_too_long:
            raise UserError(f"{message}; raise --max-tokens, or leave such documents out with --too-long skip")
        summary.skipped.too_long += 1
        summary.skipped.note(message)
    return _only(batch, kept)


def _count(batch: Batch, summary: ChunkSummary) -> None:
    summary.largest_id = max(summary.largest_id, int(batch.tokens.max()))
    summary.splits.update(document.split for document in batch.documents if document.split)
    rows = batch.rows
    numbers = rows["task"]
    documents = np.bincount(numbers)
    tokens, responses = (np.bincount(numbers, rows[name]) for name in ("tokens", "response_start"))  # exact to 2**53
    for number in np.flatnonzero(documents).tolist():
        task = summary.tasks[number]
        summary.counts[task, "documents"] += int(documents[number])
        summary.counts[task, "tokens"] += int(tokens[number])
        summary.counts[task, "target_tokens"] += int(tokens[number] - responses[number])
    for number, length in set(zip(numbers.tolist(), rows["length"].tolist(), strict=True)):
        summary.lengths.setdefault(summary.tasks[number], set()).add(length)
