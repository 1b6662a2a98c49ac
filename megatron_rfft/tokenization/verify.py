"""Proving a data set: its files against the manifest, its structure, and a sample of documents tokenized again."""

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.common.restart import require_same_inputs
from megatron_rfft.data.documents import MANIFEST_KIND, DatasetPaths, Documents, describe_wrong, read_dataset_manifest
from megatron_rfft.tokenization.encode import ChunkSummary, encode_chunk
from megatron_rfft.tokenization.engines import load_engine
from megatron_rfft.tokenization.inspection import statistics
from megatron_rfft.tokenization.integrity import tokenizer_problems
from megatron_rfft.tokenization.join import COUNTS, joined_facts
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.records import Document, Fields
from megatron_rfft.tokenization.sources import Source
from megatron_rfft.tokenization.tokenizers import HFTokenizer, Tokenizer

MOST_PROBLEMS = 20
_BLOCK = 1 << 24


def verify_dataset(
    prefix: Path | str, source: Source | None = None, tokenizer: Path | None = None, samples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Check every file and every document's boundaries; with ``source`` and ``tokenizer``, tokenize documents again.

    The sample is encoded by the library that defines the tokenizer, whatever engine made the data set. Returns
    ``documents``, ``rederived`` and ``problems``, a list of lines, empty for a sound data set. Raises UserError if
    there is no data set, or if it was made from another source or tokenizer.
    """
    paths = DatasetPaths(Path(prefix))
    manifest = read_dataset_manifest(paths)
    rederived = 0
    documents = None
    if not (problems := verify_manifest(paths.manifest, MANIFEST_KIND)):
        try:
            documents = Documents(prefix, check=False)
        except UserError as error:  # whole, by the manifest, and yet no data set
            problems = [str(error)]
        else:
            problems = _structure(documents)
    if not problems and source is not None:
        options = _options(manifest, tokenizer)
        loaded = options.load()
        inputs = options.inputs(source, loaded)
        stated = manifest["inputs"]  # by an older version, perhaps, without a key of today
        require_same_inputs(
            paths.prefix, stated, {key: inputs.get(key) for key in stated}, "give what it was made from"
        )
        chosen = set(Random(seed).sample(range(len(documents)), min(samples, len(documents))))
        rederived = len(chosen)
        problems += _retokenize(documents, source, options, loaded, chosen)
    return {
        "documents": len(documents) if documents else manifest["counts"]["documents"],
        "rederived": rederived,
        "problems": problems[:MOST_PROBLEMS],
    }


def _structure(documents: Documents) -> list[str]:
    """What is wrong with the index, the boundaries and the tokens, and what the manifest says that is not so."""
    if problems := documents.contradictions():  # tokens cannot be found by such an index
        return problems
    if problems := tokenizer_problems(documents):
        return problems
    config = documents.manifest["config"]
    ids = documents.tokens.all_tokens
    problems = describe_wrong(
        {"a document does not end in the stop token": documents.tokens.last_tokens() != config["stop_id"]}
    )
    outside = [_outside(ids[start : start + _BLOCK], config["vocab_size"]) for start in range(0, len(ids), _BLOCK)]
    if sum(outside):
        problems.append(f"{sum(outside)} tokens are not in the vocabulary of {config['vocab_size']}")
    return problems + _differing(documents.manifest, _derived(documents), "the files say")


def _differing(manifest: dict[str, Any], found: dict[str, Any], says: str) -> list[str]:
    """A line for each field (by its keys with points between) that is another than what was ``found``."""
    problems = []
    for what, value in found.items():
        stated = reduce(lambda place, key: place[key], what.split("."), manifest)
        if stated != value:
            problems.append(f"the manifest says {what} {stated!r}, {says} {value!r}")
    return problems


def _outside(ids: np.ndarray, vocab_size: int) -> int:
    return int(np.count_nonzero((ids < 0) | (ids >= vocab_size)))


def _ids_in_use(documents: Documents) -> int:
    ids = documents.tokens.all_tokens
    return 1 + max(int(ids[start : start + _BLOCK].max()) for start in range(0, len(ids), _BLOCK))


def _derived(documents: Documents) -> dict[str, Any]:
    """The fields of the manifest that follow from the documents."""
    rows = statistics(documents, documents.manifest["tasks"])
    per_task: dict[str, dict[str, int]] = {}
    lengths: dict[str, list[int]] = {}
    for row in rows:
        counts = per_task.setdefault(row["task"], dict.fromkeys(COUNTS, 0))
        for what in COUNTS:
            counts[what] += row[what]
        lengths.setdefault(row["task"], []).append(row["length"])
    return {
        "counts": {what: sum(counts[what] for counts in per_task.values()) for what in COUNTS},
        "per_task": per_task,
        "lengths": lengths,
        "config.max_tokens": max(row["longest"] for row in rows),
        **({"config.ids_in_use": _ids_in_use(documents)} if "ids_in_use" in documents.manifest["config"] else {}),
    }


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


def _retokenize(
    documents: Documents, source: Source, options: Options, tokenizer: Tokenizer, chosen: set[int]
) -> list[str]:
    is_hf = isinstance(tokenizer, HFTokenizer)
    if (engine := documents.manifest["engine"]) not in (["fastokens", "tokenizers"] if is_hf else ["sentencepiece"]):
        return [f"the manifest says engine {engine!r}, which does not encode with {tokenizer.path}"]
    encode = load_engine("tokenizers", tokenizer.path) if is_hf else None
    problems, count, proofs = [], 0, []
    with progress_bar(len(documents), "tokenize again", "documents") as bar:
        for number, document in enumerate(_kept_documents(source, options, tokenizer, documents, proofs)):
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
    return problems + _differing(documents.manifest, _found_in_input(proofs, documents.manifest), "the input says")


def _found_in_input(proofs: Sequence[dict[str, Any]], manifest: dict[str, Any]) -> dict[str, Any]:
    """The fields of the ``manifest`` that follow from the input, of which ``proofs`` are the chunks' facts."""
    found: dict[str, Any] = {f"skipped.{what}": sum(p["skipped"][what] for p in proofs) for what in ("bad", "too_long")}
    forms = [proof["form"] for proof in proofs if proof["documents"]]
    found |= joined_facts(proofs) | ({"form": forms[0]} if forms else {})
    if "splits" not in manifest:  # it is of an earlier version
        del found["splits"]
    return found


def _split(encoded) -> list[list[int]]:
    ids, offsets = encoded
    return [ids[start:end].tolist() for start, end in pairwise(offsets)]


def _kept_documents(
    source: Source, options: Options, tokenizer: Tokenizer, documents: Documents, proofs: list[dict[str, Any]]
) -> Iterator[Document]:
    """The documents of the input in their order, without those left out; ``proofs`` gets the chunks' facts."""
    encoding = options.encoding(tokenizer, documents.manifest["engine"])
    chunks: Sequence = source.chunks(options.fields)
    for chunk in chunks:
        summary = ChunkSummary()
        for batch in encode_chunk(chunk, encoding, summary):
            yield from batch.documents
        proofs.append(summary.facts())
