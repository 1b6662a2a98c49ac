"""What is in a data set: single documents with their loss span, statistics by task and length, how well it packs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.documents import Documents
from megatron_rfft.data.packing import pack, shuffled_order
from megatron_rfft.tasks import current_name
from megatron_rfft.tokenization.tokenizers import Tokenizer

_PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class ShownDocument:
    """One document, decoded. The loss is taken on ``response`` and the stop token after it."""

    index: int
    """Number in the data set, from 0."""
    task: str
    length: int
    """The problem's length."""
    prompt: str
    response: str
    """Text of the loss span without the stop token."""
    tokens: list[int]
    """All ids, stop token included."""
    response_start: int
    """Index in ``tokens`` of the first target."""


def select_documents(
    documents: Documents,
    task: str | None,
    lengths: Collection[int] | None,
    indices: Sequence[int] | None,
    count: int,
) -> list[int]:
    """Numbers of the documents to show: ``indices``, or the first ``count`` of a task and these lengths (None: any).

    Raises UserError for a number, task or length that the data set does not have.
    """
    if indices is not None:
        for index in indices:
            if not 0 <= index < len(documents):
                raise UserError(f"document {index} is not there; give numbers from 0 to {len(documents) - 1}")
        return list(indices)
    chosen = np.ones(len(documents), bool)
    if task is not None:
        tasks = documents.tasks
        if (name := current_name(task)) not in tasks:
            raise UserError(f"task {task!r} is not in the data set; it has {', '.join(sorted(tasks))}")
        chosen &= np.array([each == name for each in tasks])[documents.rows["task"]]
    if lengths is not None:
        there = sorted(set(documents.rows["length"][chosen].tolist()))
        if missing := sorted(set(lengths).difference(there)):
            raise UserError(f"length {missing[0]} is not in the data set; it has {', '.join(map(str, there))}")
        chosen &= np.isin(documents.rows["length"], list(lengths))
    return np.flatnonzero(chosen)[:count].tolist()


def show_document(documents: Documents, tokenizer: Tokenizer, index: int) -> ShownDocument:
    """Decode document ``index``, prompt and response apart as they were encoded."""
    ids, row = documents.tokens[index].tolist(), documents.rows[index]
    start = int(row["response_start"])
    return ShownDocument(
        index=index,
        task=documents.tasks[row["task"]],
        length=int(row["length"]),
        prompt=tokenizer.decode(ids[:start]),
        response=tokenizer.decode(ids[start:-1]),
        tokens=ids,
        response_start=start,
    )


def statistics(documents: Documents, tasks: Sequence[str] | None = None) -> list[dict]:
    """One row for each task and length, sorted: ``task, length, documents, tokens, target_tokens, longest``.

    ``tasks`` are the names that the rows give to the data set's tasks; None for ``documents.tasks``.
    """
    tasks = documents.tasks if tasks is None else tasks
    keys = documents.rows["task"].astype(np.int64) << 16 | documents.rows["length"]
    cells, cell, counts = np.unique(keys, return_inverse=True, return_counts=True)
    lengths = documents.lengths.astype(np.int64)
    tokens, targets, longest = (np.zeros(len(cells), np.int64) for _ in range(3))
    np.add.at(tokens, cell, lengths)
    np.add.at(targets, cell, lengths - documents.rows["response_start"])
    np.maximum.at(longest, cell, lengths)
    rows = [
        {
            "task": tasks[key >> 16],
            "length": key & 0xFFFF,
            "documents": number,
            "tokens": total,
            "target_tokens": target,
            "longest": most,
        }
        for key, number, total, target, most in np.stack([cells, counts, tokens, targets, longest], 1).tolist()
    ]
    return sorted(rows, key=lambda row: (row["task"], row["length"]))


def summary(documents: Documents) -> dict:
    """Totals: ``documents, tokens, target_tokens, vocab_size, form, splits, tasks`` (number) and token percentiles."""
    lengths, starts = documents.lengths, documents.rows["response_start"]
    return {
        "documents": len(documents),
        "tokens": int(lengths.sum(dtype=np.int64)),
        "target_tokens": int((lengths - starts).sum(dtype=np.int64)),
        "vocab_size": documents.vocab_size,
        "form": documents.manifest.get("form"),
        **({} if documents.splits is None else {"splits": documents.splits}),
        "tasks": len(np.unique(documents.rows["task"])),
        **{f"tokens_p{p}": int(np.percentile(lengths, p)) for p in _PERCENTILES},
        "longest": int(lengths.max()),
    }


def packing_summary(documents: Documents, sequence_length: int, seed: int) -> dict:
    """How the first epoch packs: ``sequence_length, sequences, fill, documents_per_sequence`` (least, mean, most).

    Raises UserError if a document is longer than ``sequence_length``.
    """
    lengths = documents.lengths
    if (longest := int(lengths.max())) > sequence_length:
        raise UserError(
            f"document {int(lengths.argmax())} has {longest} tokens, more than --sequence-length {sequence_length}; "
            f"raise it to {longest} or more"
        )
    packing = pack(shuffled_order(len(documents), seed, 0), lengths, sequence_length)
    per_sequence = np.diff(packing.starts)
    return {
        "sequence_length": sequence_length,
        "sequences": len(packing),
        "fill": round(packing.fill(lengths, sequence_length), 4),
        "documents_per_sequence": {
            "least": int(per_sequence.min()),
            "mean": round(float(per_sequence.mean()), 2),
            "most": int(per_sequence.max()),
        },
    }
