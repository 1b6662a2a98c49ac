"""Large folders written file by file, by several threads: a killed run continues with the first file that it lacks.

The folder grows under a hidden name beside ``output``, with a proof (its checksum) of every finished file; checksums
are taken while writing.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import full_disk_reported, read_json, sync_directory, write_json
from megatron_rfft.common.parts import held, read_proof, write_proof

_JOB, _PROOFS = ".job.json", ".proofs"
_SLICE = 1 << 22  # bytes hashed and written at a time: the second pass finds them in the processor's cache


class HashedFile:
    """A file being written, its SHA-256 taken on the way."""

    def __init__(self, handle: IO[bytes]):
        self._handle, self._hash = handle, hashlib.sha256()
        self.position = 0

    def write(self, data: Any) -> int:
        """Write anything with a buffer; the number of bytes."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _SLICE):
            self._hash.update(view[start : start + _SLICE])
            self._handle.write(view[start : start + _SLICE])
        self.position += len(view)
        return len(view)

    def write_tensor(self, tensor: torch.Tensor) -> None:
        """Write the values of a contiguous tensor."""
        self.write(tensor.view(-1).view(torch.uint8).numpy())

    def flush(self) -> None:
        """What torch.save asks of a file."""
        self._handle.flush()

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of everything written so far."""
        return self._hash.hexdigest()


@dataclass(frozen=True)
class Piece:
    """A finished file: its checksum, and what its writer returned."""

    sha256: str
    facts: Any


def default_workers() -> int:
    """Threads that pay: beyond a few, the disk is the limit, and each holds a tensor or two."""
    return min(4, len(os.sched_getaffinity(0)))


@contextmanager
def continued(output: Path, job: Mapping[str, Any]) -> Iterator[Path]:
    """The hidden folder that becomes ``output`` on a clean exit, with what an earlier run for the same ``job`` left.

    Raises UserError if ``output`` exists or another run is writing it. What a UserError ends is not continued.
    """
    temporary = output.with_name(f".{output.name}.tmp")
    temporary.mkdir(parents=True, exist_ok=True)
    with held(temporary, shared=False, output=output), full_disk_reported(output.parent):
        try:
            if output.exists():
                raise UserError(f"{output} exists; remove it or give another --output")
            if not (temporary / _JOB).is_file() or read_json(temporary / _JOB) != job:
                shutil.rmtree(temporary / _PROOFS, ignore_errors=True)
                for path in temporary.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                write_json(temporary / _JOB, job)
            yield temporary
        except UserError:
            shutil.rmtree(temporary)
            raise
        shutil.rmtree(temporary / _PROOFS, ignore_errors=True)
        (temporary / _JOB).unlink()
        temporary.rename(output)
        sync_directory(output.parent)


def write_pieces(
    folder: Path,
    writers: Mapping[str, Callable[[HashedFile], Any]],
    workers: int,
    checks: Sequence[Callable[[], None]] = (),
) -> dict[str, Piece]:
    """Write each file (named as below ``folder``) by its writer, which returns JSON facts; proven ones are kept.

    ``checks`` run beside the writers. The first exception of either is raised when the running ones have ended.
    """
    if workers < 1:
        raise UserError(f"--workers is {workers}; give 1 or more")
    (folder / _PROOFS).mkdir(exist_ok=True)
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        pieces = {name: pool.submit(_write_piece, folder, name, writer) for name, writer in writers.items()}
        every = [*pieces.values(), *(pool.submit(check) for check in checks)]
        wait(every, return_when=FIRST_EXCEPTION)
        if any(future.done() and future.exception() for future in every):
            pool.shutdown(cancel_futures=True)
    for future in every:
        if not future.cancelled():
            future.result()
    return {name: future.result() for name, future in pieces.items()}


def _write_piece(folder: Path, name: str, writer: Callable[[HashedFile], Any]) -> Piece:
    proof = folder / _PROOFS / f"{name.replace('/', '+')}.json"
    if found := read_proof(proof, folder, hashed=True):
        return Piece(found["sha256"][name], found["facts"])
    partial = folder / f"{name}.partial"
    with partial.open("wb") as handle:
        file = HashedFile(handle)
        facts = writer(file)
        handle.flush()
        os.fsync(handle.fileno())
    partial.rename(folder / name)
    write_proof(proof, {name: file.sha256}, facts=facts)
    return Piece(file.sha256, facts)
