"""Files that are either whole or absent: temporary name, fsync, rename."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import xxhash

from megatron_rfft.common.errors import CommandFailed, UserError


@contextmanager
def atomic_write(path: Path | str, mode: str = "w", durable: bool = True) -> Iterator[IO]:
    """Open a temporary neighbour of ``path``; on a clean exit it is synced and renamed to ``path``.

    A process killed half-way leaves a ``.tmp`` file and never a plausible final name. Without ``durable`` a power loss
    may damage the file: for what is proven by its checksum before it is used again.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as handle:
            yield handle
            handle.flush()
            if durable:
                os.fsync(handle.fileno())
        os.replace(temporary, path)
        if durable:
            sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path, name: str = "*") -> None:
    """Remove what killed processes have left of ``atomic_write`` in ``folder``: of all files, or those of a pattern."""
    for leftover in folder.glob(f".{name}.*.tmp"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make renames inside ``path`` survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_write(path) as handle:
        json.dump(value, handle, indent=2, ensure_ascii=False)
        handle.write("\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file. Raises UserError if it is missing or broken, naming the file."""
    path = require_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))  # Windows begins files with a mark
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); restore or regenerate it") from error


def whole_lines(path: Path) -> Iterator[str]:
    """Lines of a text file that something adds lines to, without the last one if a kill cut it; none without a file."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as handle:
        for line in handle:
            if line.endswith("\n"):
                yield line


def require_file(path: Path | str, hint: str = "check the path") -> Path:
    """Return ``path`` as a Path. Raises UserError with ``hint`` if no such file exists."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such file: {path}; {hint}")
    return path


def require_directory(path: Path | str, hint: str = "check the path") -> Path:
    """Return ``path`` as a Path. Raises UserError with ``hint`` if no such directory exists."""
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"no such directory: {path}; {hint}")
    return path


def require_writable(folder: Path | str) -> Path:
    """Make the directory ``folder`` unless it is there. Raises UserError if no file can be made in it."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise UserError(f"{folder} cannot be written to ({error.strerror}); name a folder that can") from error


HASHES = {"sha256": hashlib.sha256, "xxh3_128": xxhash.xxh3_128}
"""Checksums by the name that manifests give them. XXH3 finds damage as surely, and costs next to nothing: it is for
checkpoints, of which a rank writes gigabytes while it trains."""


def sha256_file(path: Path | str) -> str:
    """Hex SHA-256 of a file's bytes."""
    return file_checksum(path, "sha256")


def file_checksum(path: Path | str, algorithm: str) -> str:
    """Hex checksum of a file's bytes, by one of HASHES."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, HASHES[algorithm]).hexdigest()


@contextmanager
def full_disk_reported(folder: Path | str) -> Iterator[None]:
    """Turn "no space left" and exceeded quotas and file sizes into CommandFailed with what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise CommandFailed(
            f"no room to write into {folder} ({error.strerror}); free some and run the command again, it continues"
        ) from error
