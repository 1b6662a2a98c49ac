"""Files written past the page cache, their checksum taken on the way.

The bytes go through two small buffers: while one is filled, one thread hashes the other and another thread writes it.
"""

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.files import HASHES

_BUFFER = 1 << 22
_O_DIRECT = getattr(os, "O_DIRECT", 0)  # of Linux
_SECTOR = 1 << 12  # what the length of a write past the page cache has to be a multiple of, with room to spare


class HashedFile:
    """A file being written from its beginning (of ``hashed_file``)."""

    def __init__(self, descriptor: int, threads: ThreadPoolExecutor, algorithm: str):
        self._descriptor, self._threads = descriptor, threads
        self._hash = HASHES[algorithm]()
        # They begin on a page. As arrays: copying into these leaves the interpreter to other threads.
        self._buffer, self._spare = (np.frombuffer(mmap.mmap(-1, _BUFFER), np.uint8) for _ in range(2))
        self._filled = 0
        self._at_work: list[Future] = []
        self.position = 0

    def write(self, data: Any) -> int:
        """Take the bytes of anything with a buffer; their number."""
        view = np.frombuffer(data, np.uint8)
        taken = 0
        while taken < len(view):
            count = min(_BUFFER - self._filled, len(view) - taken)
            self._buffer[self._filled : self._filled + count] = view[taken : taken + count]
            self._filled += count
            taken += count
            if self._filled == _BUFFER:
                self._hand_over()
        self.position += taken
        return taken

    def flush(self) -> None:
        """What zipfile asks of a file; the bytes are on disk when ``hashed_file`` ends."""

    def finish(self) -> None:
        """Put everything on disk."""
        self._hand_over()
        self._wait()
        os.fsync(self._descriptor)

    @property
    def checksum(self) -> str:
        """Hex checksum of the finished file."""
        return self._hash.hexdigest()

    def _hand_over(self) -> None:
        self._wait()
        full, self._buffer, self._spare = self._buffer[: self._filled], self._spare, self._buffer
        self._filled = 0
        self._at_work = [self._threads.submit(work, full) for work in (self._write, self._hash.update)]

    def _wait(self) -> None:
        for work in self._at_work:
            work.result()

    def _write(self, view: np.ndarray) -> None:
        if len(view) % _SECTOR:  # the end of the file
            _use_page_cache(self._descriptor)
        done = 0
        while done < len(view):
            try:
                done += os.write(self._descriptor, view[done:])
            except OSError as error:
                if error.errno != errno.EINVAL or not _use_page_cache(self._descriptor):
                    raise


def _use_page_cache(descriptor: int) -> bool:
    """Write like anyone from now on; whether that is a change."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~_O_DIRECT)
    return bool(flags & _O_DIRECT)


@contextmanager
def hashed_file(path: Path, algorithm: str = "sha256") -> Iterator[HashedFile]:
    """Make the file ``path``; on a clean exit it is on disk. File systems that need the page cache get it.

    ``algorithm`` is one of ``files.HASHES``.
    """
    how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        descriptor = os.open(path, how | _O_DIRECT, 0o666)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = os.open(path, how, 0o666)
    try:
        with ThreadPoolExecutor(2) as threads:
            file = HashedFile(descriptor, threads, algorithm)
            yield file
            file.finish()
    finally:
        os.close(descriptor)
