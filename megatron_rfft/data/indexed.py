"""Megatron's indexed binary format (``.bin`` tokens, ``.idx`` sizes and offsets), written atomically, read by mmap.

Layout of ``.idx``, little endian, as megatron-core's IndexedDataset reads it: the magic ``MMIDIDX\\0\\0``, version
(uint64, 1), dtype code (uint8), number of sequences and of document boundaries (uint64 each), sequence sizes (int32),
byte offsets (int64), document boundaries (int64). Here each document is one sequence.
"""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, require_file

MAGIC = b"MMIDIDX\x00\x00"
_BLOCK = 1 << 20
_DTYPES = {4: np.dtype("<i4"), 8: np.dtype("<u2")}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def token_dtype(vocab_size: int) -> np.dtype:
    """The smaller of uint16 and int32 that holds every id of the vocabulary."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<i4")


def with_suffix(prefix: Path | str, suffix: str) -> Path:
    """``prefix`` with ``suffix`` appended; dots inside the prefix's name stay."""
    return Path(f"{prefix}{suffix}")


def write_indexed(prefix: Path | str, documents: Iterable[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Write ``prefix.bin`` and ``prefix.idx``; return the document lengths, int32 ``[num_documents]``."""
    lengths = []
    with atomic_write(with_suffix(prefix, ".bin"), "wb") as tokens:
        for document in documents:
            tokens.write(np.ascontiguousarray(document, dtype=dtype).tobytes())
            lengths.append(len(document))
    sizes = np.asarray(lengths, dtype="<i4")
    write_index(with_suffix(prefix, ".idx"), lambda: [sizes], dtype)
    return sizes


def write_index(path: Path, blocks: Callable[[], Iterable[np.ndarray]], dtype: np.dtype) -> int:
    """Write an ``.idx`` for documents whose lengths (int32) come in ``blocks()``; return the number of documents.

    The blocks are gone through three times and never held together.
    """
    count = sum(len(block) for block in blocks())
    with atomic_write(path, "wb") as index:
        index.write(MAGIC + struct.pack("<QBQQ", 1, _CODES[dtype], count, count + 1))
        for block in blocks():
            index.write(np.ascontiguousarray(block, "<i4").tobytes())
        offset = 0
        for block in blocks():
            ends = offset + np.cumsum(block.astype("<i8") * dtype.itemsize)
            index.write(np.concatenate([[offset], ends[:-1]]).astype("<i8").tobytes() if len(block) else b"")
            offset = int(ends[-1]) if len(block) else offset
        for start in range(0, count + 1, _BLOCK):
            index.write(np.arange(start, min(start + _BLOCK, count + 1), dtype="<i8").tobytes())
    return count


class IndexedTokens:
    """Read-only view of an indexed binary: ``len()`` documents, ``[i]`` their tokens, without loading the file."""

    def __init__(self, prefix: Path | str):
        index_path = require_file(with_suffix(prefix, ".idx"), "tokenize the corpus first (rfft tokenize)")
        bin_path = require_file(with_suffix(prefix, ".bin"), "tokenize the corpus again: the .idx is there without it")
        raw = index_path.read_bytes()
        header = struct.Struct("<9sQBQQ")
        if len(raw) < header.size or raw[:9] != MAGIC:
            raise UserError(f"{index_path} is not a Megatron index; tokenize the corpus again")
        _, version, code, count, boundaries = header.unpack_from(raw)
        if version != 1 or code not in _DTYPES:
            raise UserError(
                f"{index_path}: version {version}, dtype code {code} are not supported (1; {list(_DTYPES)})"
            )
        self.dtype = _DTYPES[code]
        if len(raw) != header.size + 12 * count + 8 * boundaries:
            raise UserError(f"{index_path} is cut short; tokenize the corpus again")
        self.lengths = np.frombuffer(raw, "<i4", count, header.size)
        self.offsets = offsets = np.frombuffer(raw, "<i8", count, header.size + 4 * count)
        self.boundaries = np.frombuffer(raw, "<i8", boundaries, header.size + 12 * count)
        self._starts = offsets // self.dtype.itemsize
        if bin_path.stat().st_size != int(self.lengths.sum(dtype=np.int64)) * self.dtype.itemsize:
            raise UserError(f"{bin_path} does not have the length that its .idx states; tokenize the corpus again")
        self._tokens = np.memmap(bin_path, self.dtype, "r") if count else np.empty(0, self.dtype)

    @property
    def all_tokens(self) -> np.ndarray:
        """Of all documents, end to end; mapped, not read."""
        return self._tokens

    def last_tokens(self) -> np.ndarray:
        """The last token of each document, ``[num_documents]``."""
        return self._tokens[self._starts + self.lengths - 1]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, document: int) -> np.ndarray:
        start = self._starts[document]
        return self._tokens[start : start + self.lengths[document]]
