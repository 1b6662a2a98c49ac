"""Proving a data set: its files against the manifest, its structure, and a sample of documents tokenized again."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.data.documents import MANIFEST_KIND, Documents
from megatron_rfft.data.encode import PieceSummary, encode_piece
from megatron_rfft.data.engines import load_engine
from megatron_rfft.data.records import Document, Fields
from megatron_rfft.data.sources import Source
from megatron_rfft.data.tokenize import Options
from megatron_rfft.data.tokenizers import HFTokenizer, Tokenizer

MOST_PROBLEMS = 20


def verify_dataset(
    prefix: Path | str, source: Source | None = None, tokenizer: Path | None = None, samples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Check every file and every document's boundaries; with ``source`` and ``tokenizer``, tokenize documents again.

    The sample is encoded by the library that defines the tokenizer, whatever engine made the data set. Returns
    ``documents``, ``rederived`` and ``problems``, a list of lines, empty for a sound data set. Raises UserError if
    there is no data set, or if it was made from another source or tokenizer.
    """
    documents = Documents(prefix)
    problems = verify_manifest(documents.paths.manifest, MANIFEST_KIND)
    problems += [] if problems else _structure(documents)
    rederived = 0
    if not problems and source is not None:
        options = _options(documents.manifest, tokenizer)
        loaded = options.load()
        _require_same_inputs(documents.manifest, options.inputs(source, loaded), prefix)
        chosen = set(Random(seed).sample(range(len(documents)), min(samples, len(documents))))
        rederived = len(chosen)
        problems += _retokenize(documents, source, options, loaded, chosen)
    return {"documents": len(documents), "rederived": rederived, "problems": problems[:MOST_PROBLEMS]}


def _structure(documents: Documents) -> list[str]:
    """What is wrong with the index, the boundaries and the stop tokens."""
    tokens, rows, config = documents.tokens, documents.rows, documents.manifest["config"]
    lengths = tokens.lengths.astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    checks = {
        "the .idx has documents that do not follow one another": tokens.offsets != starts * tokens.dtype.itemsize,
        "the .idx has boundaries that are no document's": tokens.boundaries != np.arange(len(lengths) + 1),
        "a response begins outside of its document": (rows["response_start"] < 1) | (rows["response_start"] >= lengths),
        "a document belongs to no task of the manifest": rows["task"] >= len(documents.manifest["tasks"]),
        "a document does not end in the stop token": documents.tokens.last_tokens() != config["stop_id"],
        "a document is longer than the manifest's max_tokens": lengths > config["max_tokens"],
    }
    problems = [
        f"{what} ({np.count_nonzero(wrong)} in all, the first is number {int(np.argmax(wrong))})"
        for what, wrong in checks.items()
        if np.any(wrong)
    ]
    counts = {
        "documents": len(lengths),
        "tokens": int(lengths.sum()),
        "target_tokens": int((lengths - rows["response_start"]).sum()),
    }
    stated = documents.manifest["counts"]
    return problems + [
        f"there are {count} {what}, the manifest says {stated[what]}"
        for what, count in counts.items()
        if count != stated[what]
    ]


def _options(manifest: dict[str, Any], tokenizer: Path | None) -> Options:
    """How the data set was made."""
    if tokenizer is None:
        raise UserError("to tokenize documents again, the tokenizer is needed; give --tokenizer")
    inputs = manifest["inputs"]
    loaded = Options(tokenizer).load()
    stop_token = None
    if inputs["stop_id"] != loaded.stop_id:
        stop_token = loaded.decode([inputs["stop_id"]])
    return Options(
        tokenizer,
        chat=inputs["chat"],
        bos=inputs["bos_id"] is not None,
        stop_token=stop_token,
        max_tokens=inputs["max_tokens"],
        skip_too_long=inputs["skip_too_long"],
        fields=Fields(**inputs["fields"]),
        engine="tokenizers" if manifest["engine"] == "tokenizers" else "auto",
    )


def _require_same_inputs(manifest: dict[str, Any], inputs: dict[str, Any], prefix: Path | str) -> None:
    stated = manifest["inputs"]
    if differing := [key for key in stated if inputs.get(key) != stated[key]]:
        raise UserError(f"{prefix} was made with another {differing[0]} than this; give what it was made from")


def _retokenize(
    documents: Documents, source: Source, options: Options, tokenizer: Tokenizer, chosen: set[int]
) -> list[str]:
    is_hf = isinstance(tokenizer, HFTokenizer)
    encode = load_engine("tokenizers", tokenizer.path) if is_hf else None
    problems, count = [], 0
    with progress_bar(len(documents), "tokenize again", "documents") as bar:
        for number, document in enumerate(_kept_documents(source, options, tokenizer, documents)):
            count += 1
            bar.update(1)
            if number in chosen and number < len(documents):
                texts = [document.prompt, document.response]
                prompt, response = _split(encode(texts)) if encode else [tokenizer.encode(text) for text in texts]
                bos = [tokenizer.bos_id] if options.bos else []
                ids = [*bos, *prompt, *response, tokenizer.stop_id]
                boundary = len(bos) + len(prompt)
                if documents.tokens[number].tolist() != ids:
                    problems.append(f"document {number} has other tokens when it is tokenized again")
                elif documents.rows["response_start"][number] != boundary:
                    problems.append(f"document {number} has its response at another token than {boundary}")
    if count != len(documents):
        problems.append(f"the input holds {count} documents, the data set {len(documents)}")
    return problems


def _split(encoded) -> list[list[int]]:
    ids, offsets = encoded
    return [ids[start:end].tolist() for start, end in pairwise(offsets)]


def _kept_documents(source: Source, options: Options, tokenizer: Tokenizer, documents: Documents) -> Iterator[Document]:
    """The documents of the input in their order, without those that were left out."""
    encoding = options.encoding(tokenizer, documents.manifest["engine"])
    pieces: Sequence = source.pieces(options.fields)
    for piece in pieces:
        for batch in encode_piece(piece, encoding, PieceSummary()):
            yield from batch.documents
