"""Parts of a data set joined into one, by concatenation, in bounded memory."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import atomic_write
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.data.documents import DOCUMENT_DTYPE, MANIFEST_KIND, DatasetPaths
from megatron_rfft.data.encode import PART_DTYPE, Encoding
from megatron_rfft.data.indexed import with_suffix, write_index
from megatron_rfft.data.records import Skipped

_BLOCK_BYTES = 8 << 20
_BLOCK_ROWS = 1 << 18
_COUNTS = ("documents", "tokens", "target_tokens")


def join_parts(
    paths: DatasetPaths,
    files: Sequence[tuple[Path, Path]],
    proofs: Sequence[dict[str, Any]],
    encoding: Encoding,
    inputs: dict[str, Any],
) -> dict[str, Any]:
    """Write the files of the data set from its parts (tokens and rows of each) and return the manifest, which is last.

    Raises UserError if the parts hold no document or documents of several forms, CommandFailed if a part has been
    damaged since it was proven.
    """
    skipped = Skipped()
    for proof in proofs:
        skipped.add(Skipped(**proof["skipped"]))
    num_documents = sum(proof["documents"] for proof in proofs)
    if not num_documents:
        left_out = f" ({skipped.bad} bad, {skipped.too_long} too long)" if skipped.first else ""
        raise UserError(f"the input for {paths.prefix} holds no records that can be used{left_out}; give another")
    forms = sorted({str(proof["form"]) for proof in proofs if proof["documents"]})
    if len(forms) > 1:
        raise UserError(f"the input for {paths.prefix} has records of forms {', '.join(forms)}; make one data set each")
    tasks = list(dict.fromkeys(task for proof in proofs for task in proof["tasks"]))
    if len(tasks) > 2**16:
        raise UserError(f"the input has {len(tasks)} tasks, at most {2**16} can be told apart; name fewer")
    _join_tokens(with_suffix(paths.prefix, ".bin"), [tokens for tokens, _ in files], proofs)
    rows = [rows for _, rows in files]
    write_index(
        with_suffix(paths.prefix, ".idx"), lambda: (b["tokens"] for f in rows for b in _blocks(f)), encoding.dtype
    )
    longest = _write_rows(paths.documents, rows, proofs, tasks, num_documents)
    if (paths.parts / "tokenizer").exists():  # else a killed run has come this far
        shutil.rmtree(paths.tokenizer, ignore_errors=True)
        (paths.parts / "tokenizer").rename(paths.tokenizer)
    per_task = _per_task(proofs)
    return write_manifest(
        paths.manifest,
        MANIFEST_KIND,
        [*paths.binaries, *(file for file in paths.tokenizer.iterdir() if file.is_file())],
        config={
            "vocab_size": encoding.vocab_size,
            "stop_id": encoding.stop_id,
            "bos_id": encoding.bos_id,
            "max_tokens": longest,
        },
        inputs=inputs,
        engine=encoding.engine,
        form=next((proof["form"] for proof in proofs if proof["documents"]), None),
        chat=encoding.chat,
        tasks=tasks,
        lengths=_lengths(proofs),
        counts={what: sum(counts[what] for counts in per_task.values()) for what in _COUNTS},
        per_task=per_task,
        skipped={"bad": skipped.bad, "too_long": skipped.too_long, "first": skipped.first},
    )


def _blocks(rows_file: Path) -> Iterator[np.ndarray]:
    with open(rows_file, "rb") as handle:
        while len(block := np.fromfile(handle, PART_DTYPE, _BLOCK_ROWS)):
            yield block


def _join_tokens(path: Path, files: Sequence[Path], proofs: Sequence[dict[str, Any]]) -> None:
    with atomic_write(path, "wb") as joined:
        for file, proof in zip(files, proofs, strict=True):
            digest = hashlib.sha256()
            with open(file, "rb") as handle:
                while block := handle.read(_BLOCK_BYTES):
                    digest.update(block)
                    joined.write(block)
            if digest.hexdigest() != proof["sha256"][file.name]:
                raise CommandFailed(f"{file} was damaged after it was written; run the command again, it makes it anew")


def _write_rows(
    path: Path, files: Sequence[Path], proofs: Sequence[dict[str, Any]], tasks: list[str], num_documents: int
) -> int:
    """Write ``.docs.npy`` and return the tokens of the longest document."""
    numbers = {task: number for number, task in enumerate(tasks)}
    longest = 0
    with atomic_write(path, "wb") as handle:
        header = {
            "descr": np.lib.format.dtype_to_descr(DOCUMENT_DTYPE),
            "fortran_order": False,
            "shape": (num_documents,),
        }
        np.lib.format.write_array_header_1_0(handle, header)
        for file, proof in zip(files, proofs, strict=True):
            here = np.array([numbers[task] for task in proof["tasks"]], "<u2")
            for block in _blocks(file):
                rows = np.empty(len(block), DOCUMENT_DTYPE)
                rows["response_start"], rows["length"] = block["response_start"], block["length"]
                rows["task"] = here[block["task"]]
                handle.write(rows)
                longest = max(longest, int(block["tokens"].max()))
    return longest


def _per_task(proofs: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for proof in proofs:
        for task, counts in proof["counts"].items():
            mine = found.setdefault(task, dict.fromkeys(_COUNTS, 0))
            for what, count in counts.items():
                mine[what] += count
    return dict(sorted(found.items()))


def _lengths(proofs: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {}
    for proof in proofs:
        for task, lengths in proof["lengths"].items():
            found.setdefault(task, set()).update(lengths)
    return {task: sorted(lengths) for task, lengths in sorted(found.items())}
