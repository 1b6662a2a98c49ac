"""Large folders written file by file, by several threads: a killed run continues with the first file that it lacks.

The folder grows under a hidden name beside ``output``, with a proof (its checksum) of every finished file; checksums
are taken while writing.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import full_disk_reported, read_json, sync_directory, write_json
from megatron_rfft.common.parts import held, read_proof, write_proof
from megatron_rfft.conversion.storage.hashed_file import HashedFile, hashed_file

_JOB, _PROOFS = ".job.json", ".proofs"


@dataclass(frozen=True)
class Piece:
    """A finished file: its checksum, and what its writer returned."""

    sha256: str
    facts: Any


def default_workers() -> int:
    """Threads that pay: beyond a few, the disk is the limit."""
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

    ``checks`` run when all are written. The first exception is raised when the running ones have ended.
    """
    if workers < 1:
        raise UserError(f"--workers is {workers}; give 1 or more")
    (folder / _PROOFS).mkdir(exist_ok=True)
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        pieces = _all_of(pool, [partial(_write_piece, folder, name, writer) for name, writer in writers.items()])
        _all_of(pool, checks)
    return dict(zip(writers, pieces, strict=True))


def _all_of(pool: ThreadPoolExecutor, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What ``calls`` return; after the first exception none is begun."""
    futures = [pool.submit(call) for call in calls]
    wait(futures, return_when=FIRST_EXCEPTION)
    if any(future.done() and future.exception() for future in futures):
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures if not future.cancelled()]


def _write_piece(folder: Path, name: str, writer: Callable[[HashedFile], Any]) -> Piece:
    proof = folder / _PROOFS / f"{name.replace('/', '+')}.json"
    if found := read_proof(proof, folder, hashed=True):
        return Piece(found["sha256"][name], found["facts"])
    unfinished = folder / f"{name}.partial"
    with hashed_file(unfinished) as file:
        facts = writer(file)
    unfinished.rename(folder / name)
    write_proof(proof, {name: file.sha256}, facts=facts)
    return Piece(file.sha256, facts)
