"""What tokenizing would give, without writing it: the first document with its loss span, and statistics of a sample."""

import json
import sys
from itertools import islice
from typing import Any

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.tokenization.encode import Batch, ChunkSummary, encode_chunk
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.sources import Source
from megatron_rfft.tokenization.tokenize import choose_engine, sample_texts
from megatron_rfft.tokenization.tokenizers import Tokenizer

_PROMPT, _TARGET, _END = "\x1b[2m", "\x1b[1;32m", "\x1b[0m"
_SAMPLE = 2000


def preview(source: Source, options: Options, as_json: bool = False) -> None:
    """Print the first document's tokens, those that the loss is taken on in colour, and the sample's statistics.

    Raises UserError as tokenizing would for these documents.
    """
    tokenizer = options.load()
    chunks = source.chunks(options.fields)
    if not chunks:
        raise UserError("the input holds no records; give another")
    texts = sample_texts(chunks, options, tokenizer)
    encoding = options.encoding(tokenizer, choose_engine(tokenizer, options.engine, texts))
    summary = ChunkSummary()
    batches: list[Batch] = []
    for batch in (batch for chunk in chunks for batch in encode_chunk(chunk, encoding, summary)):
        batches.append(batch)
        if sum(len(b.rows) for b in batches) >= _SAMPLE:
            break
    if not batches:
        raise UserError(f"no record can be used ({summary.skipped.bad} bad, {summary.skipped.too_long} too long)")
    start, size = (int(batches[0].rows[name][0]) for name in ("response_start", "tokens"))
    ids = batches[0].tokens[:size].tolist()
    statistics = _statistics(batches, encoding.engine, summary)
    if as_json:
        print(json.dumps({"tokens": ids, "response_start": start, **statistics}))
        return
    print(_shown(tokenizer, ids, start, colour=sys.stdout.isatty()))
    for name, value in statistics.items():
        print(f"{name.replace('_', ' ')}: {value:,}" if isinstance(value, int | float) else f"{name}: {value}")


def _shown(tokenizer: Tokenizer, ids: list[int], start: int, colour: bool) -> str:
    """The document as text, then token by token; without colour, a bar marks the loss span's beginning."""
    prompt, target = (_PROMPT, _TARGET) if colour else ("", "")
    end, mark = (_END, "") if colour else ("", "|")
    pieces = [f"{number}:{tokenizer.decode([number])!r}" for number in ids]
    lines = [
        f"{prompt}{tokenizer.decode(ids[:start])}{end}{mark}{target}{tokenizer.decode(ids[start:])}{end}",
        "",
        f"{len(ids)} tokens, the loss is taken on the {len(ids) - start} from {start} on:",
        f"{prompt}{' '.join(pieces[:start])}{end} {mark} {target}{' '.join(pieces[start:])}{end}",
        "",
    ]
    return "\n".join(lines)


def _statistics(batches: list[Batch], engine: str, summary: ChunkSummary) -> dict[str, Any]:
    rows = np.concatenate([batch.rows for batch in batches])
    documents = [document for batch in batches for document in batch.documents]
    size = sum(len((d.prompt + d.response).encode()) for d in documents)
    tokens = rows["tokens"].astype(np.int64)
    targets = int((tokens - rows["response_start"]).sum())
    tasks = list(islice(sorted(summary.lengths), 10))
    return {
        "sampled_documents": len(rows),
        "mean_tokens": round(float(tokens.mean()), 1),
        "median_tokens": float(np.median(tokens)),
        "max_tokens": int(tokens.max()),
        "target_share": round(targets / int(tokens.sum()), 3),
        "bytes_per_token": round(size / int(tokens.sum()), 2),
        "bad": summary.skipped.bad,
        "too_long": summary.skipped.too_long,
        "engine": engine,
        "tasks": ", ".join(repr(task) for task in tasks) + (", ..." if len(summary.lengths) > len(tasks) else ""),
    }
