"""Tensors where they lie on disk: their rows pass through one small buffer, in any order, without becoming tensors.

Nothing large is allocated, and what is read once does not stay in the page cache: touching new memory costs more than
copying it.
"""

import errno
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import HASHES

CHUNK = 1 << 22
"""Bytes read, hashed and handed on at a time: few enough to stay in the processor's cache on the way."""
_GAP = 1 << 24  # bytes that a checksum taken in passing reads over to stay in step
_DONTCACHE = 0x80  # RWF_DONTCACHE of Linux 6.14: what was not in the page cache before is not there afterwards


class SourceFile:
    """A file of weights that several threads read; its checksum, if it is wanted, is taken from what they read."""

    def __init__(self, path: Path):
        self.path = path
        self._hash = self._position = None
        self._lock = threading.Lock()

    def hash_in_passing(self, algorithm: str) -> None:
        """Begin to take the checksum, by one of ``files.HASHES``, of what is read from now on."""
        self._hash, self._position = HASHES[algorithm](), 0

    def checksum(self) -> str:
        """The hex checksum of the file; what was not read in order is read now."""
        assert self._hash is not None
        with self._lock, self._opened() as descriptor:
            self._hash_to(descriptor, os.fstat(descriptor).st_size, once=True)
            return self._hash.hexdigest()

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill ``view`` from ``offset``. Raises UserError if the file ends before."""
        with self._opened() as descriptor:
            for start in range(0, len(view), CHUNK):
                self._read(descriptor, view[start : start + CHUNK], offset + start)

    def chunks(self, offset: int, size: int, buffer: memoryview) -> Iterator[memoryview]:
        """The ``size`` bytes from ``offset``, part by part in ``buffer``. Raises UserError if the file ends before."""
        with self._opened() as descriptor:
            for start in range(0, size, len(buffer)):
                view = buffer[: min(len(buffer), size - start)]
                self._read(descriptor, view, offset + start)
                yield view

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with self.path.open("rb", buffering=0) as handle:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)  # reads further ahead
            yield handle.fileno()

    def _read(self, descriptor: int, view: memoryview, offset: int) -> None:
        if self._hash is None:
            self._fill(descriptor, view, offset, once=True)
        elif self._in_step(offset) and self._lock.acquire(blocking=False):
            try:
                if in_step := self._in_step(offset):
                    self._hash_to(descriptor, offset, once=False)  # of what lies between, some will be read yet
                self._fill(descriptor, view, offset, once=in_step)
                if in_step:
                    self._hash.update(view)
                    self._position += len(view)
            finally:
                self._lock.release()
        else:  # the checksum reads it again
            self._fill(descriptor, view, offset, once=False)

    def _in_step(self, offset: int) -> bool:
        return 0 <= offset - self._position <= _GAP

    def _hash_to(self, descriptor: int, end: int, once: bool) -> None:
        buffer = memoryview(bytearray(min(CHUNK, end - self._position)))
        while self._position < end:
            view = buffer[: end - self._position]
            self._fill(descriptor, view, self._position, once)
            self._hash.update(view)
            self._position += len(view)

    def _fill(self, descriptor: int, view: memoryview, offset: int, once: bool) -> None:
        done = 0
        while done < len(view):
            count = _read_once(descriptor, view[done:], offset + done) if once else None
            if count is None:
                count = os.preadv(descriptor, [view[done:]], offset + done)
            if count == 0:
                raise UserError(f"{self.path} ends too early; copy or download it again")
            done += count


_can_read_once = sys.platform == "linux"


def _read_once(descriptor: int, view: memoryview, offset: int) -> int | None:
    """Read past the page cache; None if this system cannot."""
    global _can_read_once
    if not _can_read_once:
        return None
    try:
        return os.preadv(descriptor, [view], offset, _DONTCACHE)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        _can_read_once = False
        return None


@dataclass(frozen=True)
class Span:
    """Bytes that lie side by side in a file."""

    file: SourceFile
    offset: int
    size: int


@dataclass
class Stored:
    """A tensor: ``spans`` say where its rows lie, in order; where they cannot, ``load`` reads it."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], torch.Tensor]
    spans: Sequence[Span] | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @cached_property
    def _tensor(self) -> torch.Tensor:
        return self.load()

    @classmethod
    def in_file(cls, span: Span, shape: tuple[int, ...], dtype: torch.dtype) -> "Stored":
        """A tensor that lies in one piece."""

        def load() -> torch.Tensor:
            tensor = torch.empty(shape, dtype=dtype)
            span.file.read_into(bytes_of(tensor), span.offset)
            return tensor

        return cls(shape, dtype, load, (span,))

    def rows(self, start: int, stop: int, buffer: memoryview) -> Iterator[memoryview]:
        """The bytes of rows ``start`` to ``stop``, part by part; a part is good until the next one is asked for."""
        if start == stop:
            return
        if self.spans is None:
            yield bytes_of(self._tensor[start:stop])
            return
        first, last, position = start * self.row_bytes, stop * self.row_bytes, 0
        for span in self.spans:
            skip, end = max(first - position, 0), min(last - position, span.size)
            if skip < end:
                yield from span.file.chunks(span.offset + skip, end - skip, buffer)
            position += span.size


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The bytes of the values, row by row."""
    return memoryview(tensor.contiguous().view(-1).view(torch.uint8).numpy())


Rows = tuple[Stored, int, int]
"""Rows of a tensor: it, the first, and that after the last."""


def padded(found: list[Rows], rows: int) -> list[Rows]:
    """``found``, and zeros behind so that there are ``rows`` in all."""
    like, missing = found[0][0], rows - sum(stop - start for _, start, stop in found)
    shape = (missing, *like.shape[1:])
    zeros = Stored(shape, like.dtype, lambda: torch.zeros(shape, dtype=like.dtype))
    return [*found, (zeros, 0, missing)] if missing else found


def contents(parts: Iterable[Rows], dtype: torch.dtype) -> Iterator[memoryview]:
    """The bytes of all ``parts`` one after the other, in ``dtype``; a piece is good until the next one is asked for."""
    parts = list(parts)
    largest = max((stop - start) * stored.row_bytes for stored, start, stop in parts)
    buffer = memoryview(bytearray(min(CHUNK, largest)))
    for stored, start, stop in parts:
        for view in stored.rows(start, stop, buffer):
            if stored.dtype == dtype:
                yield view
            else:
                yield bytes_of(torch.frombuffer(view, dtype=stored.dtype).to(dtype))


class Passing:
    """Bytes that pass by in pieces, taken in other pieces."""

    def __init__(self, pieces: Iterator[memoryview]):
        self._pieces, self._left = pieces, memoryview(b"")

    def take(self, size: int) -> Iterator[memoryview]:
        """The next ``size`` bytes."""
        while size:
            piece = self._left if len(self._left) else next(self._pieces)
            piece, self._left = piece[:size], piece[size:]
            yield piece
            size -= len(piece)
