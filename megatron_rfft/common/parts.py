"""Work that is done in parts, by one run or several at the same time: locks, proofs of finished parts, and shares."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, sha256_file, write_json


@dataclass(frozen=True)
class Part:
    """Every ``count``-th piece of work from ``number`` on: what one of several runs does (``number`` from 0)."""

    number: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Parse ``"3/8"``. Raises UserError unless 0 <= 3 < 8: parts are counted from 0, like a job array's tasks."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal()):
            raise UserError(f"--shard {text!r} is not I/N; write for example 0/8, with I from 0 to N-1")
        if int(number) >= int(count):
            last = f"0/{count} to {int(count) - 1}/{count}, not 1/{count} to {count}/{count}" if int(count) else "0/8"
            raise UserError(f"--shard {text!r} does not exist: I counts from 0; write {last}")
        return cls(int(number), int(count))


@contextmanager
def held(path: Path, shared: bool, output: Path, busy: str = "") -> Iterator[None]:
    """Hold ``path``, a folder or a file that is made, against other runs; runs with ``shared`` let each other in.

    The lock ends with the process, however that ends. Raises UserError if a run that writes ``output`` holds it,
    with the message ``busy`` if one is given.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    while True:
        descriptor = os.open(path, flags, 0o644)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if not _is_still(descriptor, path):  # the run that held it has finished and removed it
                continue
            yield
            return
        except BlockingIOError:
            busy = busy or f"another run is writing {output}; wait for it, or give another --output"
            raise UserError(busy) from None
        finally:
            os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a process holds ``path`` alone (``held`` without ``shared``)."""
    if not path.is_file():
        return False
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Let runs that come here at the same time pass one after the other; ``path`` is the lock's file."""
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_proof(path: Path, checksums: Mapping[str, str], **facts: Any) -> None:
    """Note the finished files of one part, by name, with their checksums, and whatever else is to be kept of it."""
    write_json(path, {"sha256": dict(checksums), **facts})


def read_proof(path: Path, folder: Path, hashed: bool) -> dict[str, Any] | None:
    """The proof of a part whose files in ``folder`` are all there (and, with ``hashed``, whole); else None."""
    if not path.exists():
        return None
    proof = read_json(path)
    if not isinstance(proof["sha256"], dict):  # of an older version
        return None
    for name, checksum in proof["sha256"].items():
        file = folder / name
        if not file.exists() or (hashed and sha256_file(file) != checksum):
            return None
    return proof
