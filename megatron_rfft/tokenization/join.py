"""Parts of a data set joined into one, by concatenation, in bounded memory."""

import hashlib
import mmap
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import atomic_write
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.data.documents import DOCUMENT_DTYPE, MANIFEST_KIND, DatasetPaths
from megatron_rfft.data.indexed import with_suffix, write_index
from megatron_rfft.tasks import SPLITS
from megatron_rfft.tokenization.encode import PART_DTYPE
from megatron_rfft.tokenization.options import Encoding
from megatron_rfft.tokenization.records import Skipped

_BLOCK_BYTES = 8 << 20
_BLOCK_ROWS = 1 << 18
COUNTS = ("documents", "tokens", "target_tokens")


@dataclass(frozen=True)
class PartFiles:
    """What is kept of a finished part, called ``name``."""

    name: str
    tokens: Path
    rows: Path
    """PART_DTYPE, bare."""

    @classmethod
    def of(cls, folder: Path, number: int) -> "PartFiles":
        """The files of part ``number`` in ``folder``."""
        name = f"part-{number:06d}"
        return cls(name, folder / f"{name}.bin", folder / f"{name}.rows")


Proven = tuple[PartFiles, dict[str, Any]]
"""A part and its proof."""


def join_parts(
    paths: DatasetPaths, parts: Iterable[Proven], encoding: Encoding, inputs: dict[str, Any], check: bool = False
) -> dict[str, Any]:
    """Write the files of the data set from its parts and return the manifest, which is last.

    The tokens of a part are appended when ``parts`` yields it, while later ones are still being made. With ``check``
    they are compared with the part's proof. Raises UserError if the parts hold no document or documents of several
    forms, CommandFailed if a part was damaged after it was proven.
    """
    joined = _Joined(paths.prefix)
    binary, index = with_suffix(paths.prefix, ".bin"), with_suffix(paths.prefix, ".idx")
    checksum = _join_tokens(binary, joined.look_at(parts), check)
    rows, proofs = [part.rows for part in joined.parts], joined.proofs
    write_index(index, lambda: (block["tokens"] for file in rows for block in _blocks(file)), encoding.dtype)
    facts = joined_facts(proofs)
    longest = _write_rows(paths.documents, rows, proofs, facts["tasks"])
    if (paths.parts / "tokenizer").exists():  # else a killed run has come this far
        shutil.rmtree(paths.tokenizer, ignore_errors=True)
        (paths.parts / "tokenizer").rename(paths.tokenizer)
    config = {"vocab_size": encoding.vocab_size, "stop_id": encoding.stop_id, "bos_id": encoding.bos_id}
    return write_manifest(
        paths.manifest,
        MANIFEST_KIND,
        [*paths.binaries, *(file for file in paths.tokenizer.iterdir() if file.is_file())],
        checksums={binary: checksum},
        config={**config, "ids_in_use": 1 + max(proof["largest_id"] for proof in proofs), "max_tokens": longest},
        inputs=inputs,
        engine=encoding.engine,
        form=joined.form,
        chat=encoding.options.chat,
        **facts,
        skipped=asdict(joined.skipped),
    )


def joined_facts(proofs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the proofs of all parts say together: tasks, lengths, splits, counts and per_task of the manifest."""
    per_task = _per_task(proofs)
    splits = sum((Counter(proof["splits"]) for proof in proofs), Counter())
    return {
        "tasks": list(dict.fromkeys(task for proof in proofs for task in proof["tasks"])),
        "lengths": _lengths(proofs),
        "splits": {split: splits[split] for split in SPLITS if splits[split]},
        "counts": {what: sum(counts[what] for counts in per_task.values()) for what in COUNTS},
        "per_task": per_task,
    }


class _Joined:
    """The parts that have been looked at, whose documents have one form and no more tasks than can be numbered."""

    def __init__(self, prefix: Path):
        self.prefix = prefix
        self.parts: list[PartFiles] = []
        self.proofs: list[dict[str, Any]] = []
        self.skipped = Skipped()
        self.form: str | None = None

    def look_at(self, parts: Iterable[Proven]) -> Iterator[Proven]:
        found = False
        tasks: set[str] = set()
        for part, proof in parts:
            self.parts.append(part)
            self.proofs.append(proof)
            self.skipped.add(Skipped(**proof["skipped"]))
            tasks.update(proof["tasks"])
            if len(tasks) > 2**16:
                raise UserError(f"{self.prefix}: there are more than {2**16} tasks; name fewer in field task")
            if proof["documents"]:
                if found and proof["form"] != self.form:
                    raise UserError(
                        f"{self.prefix}: form {proof['form']!r} among {self.form!r}; make one data set a form"
                    )
                found, self.form = True, proof["form"]
            yield part, proof
        if not found:
            left_out = f" ({self.skipped.bad} bad, {self.skipped.too_long} too long)" if self.skipped.first else ""
            raise UserError(f"the input for {self.prefix} holds no records that can be used{left_out}; give another")


def _blocks(rows_file: Path) -> Iterator[np.ndarray]:
    with open(rows_file, "rb") as handle:
        while len(block := np.fromfile(handle, PART_DTYPE, _BLOCK_ROWS)):
            yield block


def _join_tokens(path: Path, parts: Iterable[Proven], check: bool) -> str:
    """Append the tokens of all parts; the checksum of the whole."""
    whole = hashlib.sha256()
    with atomic_write(path, "wb") as joined, ThreadPoolExecutor(1) as background:
        for part, proof in parts:
            alone = hashlib.sha256()
            for block in _mapped(part.tokens):
                whole.update(block)
                joined.write(block)
                if check:
                    alone.update(block)
            if check and alone.hexdigest() != proof["sha256"][part.tokens.name]:
                raise CommandFailed(
                    f"{part.tokens} was damaged after it was written; run the command again, it makes it anew"
                )
            joined.flush()
            background.submit(os.fdatasync, joined.fileno())  # the disk works while the next part is made
    return whole.hexdigest()


def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """The file's bytes, a block at a time: without a copy, and without holding the whole in memory."""
    with open(path, "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        for start in range(0, size, _BLOCK_BYTES):
            length = min(_BLOCK_BYTES, size - start)
            with mmap.mmap(handle.fileno(), length, access=mmap.ACCESS_READ, offset=start) as block:
                yield block


def _write_rows(path: Path, files: Sequence[Path], proofs: Sequence[dict[str, Any]], tasks: list[str]) -> int:
    """Write ``.docs.npy`` and return the tokens of the longest document."""
    numbers = {task: number for number, task in enumerate(tasks)}
    shape = (sum(proof["documents"] for proof in proofs),)
    longest = 0
    with atomic_write(path, "wb") as handle:
        described = np.lib.format.dtype_to_descr(DOCUMENT_DTYPE)
        header = {"descr": described, "fortran_order": False, "shape": shape}
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
            mine = found.setdefault(task, dict.fromkeys(COUNTS, 0))
            for what, count in counts.items():
                mine[what] += count
    return dict(sorted(found.items()))


def _lengths(proofs: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {}
    for proof in proofs:
        for task, lengths in proof["lengths"].items():
            found.setdefault(task, set()).update(lengths)
    return {task: sorted(lengths) for task, lengths in sorted(found.items())}
