"""Large folders written file by file, by several threads: a killed run continues with the first file that it lacks.

The folder grows in a hidden one beside ``output``, where every finished file has a proof: its checksum, taken while it
is written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import full_disk_reported, remove_unfinished, sync_directory
from megatron_rfft.common.hashed_file import HashedFile, hashed_file
from megatron_rfft.common.processes import usable_cores
from megatron_rfft.common.restart import Work

Item = TypeVar("Item")


@dataclass(frozen=True)
class WrittenFile:
    """A finished file: its checksum, and what its writer returned."""

    sha256: str
    facts: Any


def default_workers() -> int:
    """Threads that pay: beyond a few, the disk is the limit."""
    return min(4, usable_cores())


def work_on(output: Path) -> Work:
    """The work that ``continued`` does for the folder ``output``."""
    notes = output.with_name(f".{output.name}.tmp")
    return Work(output, notes, files=notes / "files")


def in_files(items: Iterable[Item], size: Callable[[Item], int], max_shard_gb: float) -> list[list[Item]]:
    """What goes into each file, in order: at most ``max_shard_gb`` (10^9 bytes), unless an item alone is larger."""
    if max_shard_gb <= 0:
        raise UserError(f"--max-shard-gb is {max_shard_gb}; it must be above 0")
    files: list[list[Item]] = []
    room = 0.0
    for item in items:
        if not files or size(item) > room:
            files.append([])
            room = max_shard_gb * 1e9
        files[-1].append(item)
        room -= size(item)
    return files


@contextmanager
def continued(output: Path, job: Mapping[str, Any]) -> Iterator[Work]:
    """The work that becomes the folder ``output`` on a clean exit, with what an earlier run for the same ``job`` left.

    Its ``files`` are that folder. Raises UserError if ``output`` exists or another run is writing it. What a UserError
    ends is not continued.
    """
    work = work_on(output)
    with work.held(), full_disk_reported(output.parent):
        try:
            if output.exists():
                raise UserError(f"{output} exists; remove it or give another --output")
            work.begin(job, anew=True)
            work.files.mkdir(exist_ok=True)
            remove_unfinished(work.files)
            yield work
        except UserError:
            work.end()
            raise
        work.files.rename(output)
        sync_directory(output.parent)
        work.end()


def write_files(
    work: Work,
    writers: Mapping[str, Callable[[HashedFile], Any]],
    workers: int | None = None,
    checks: Sequence[Callable[[], None]] = (),
) -> dict[str, WrittenFile]:
    """Write each file (named as below the ``files`` of ``work``) by its writer, which returns JSON facts.

    Proven ones are kept. ``workers`` None: as many threads as pay. ``checks`` run when all are written. The first
    exception is raised when the running ones have ended.
    """
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise UserError(f"--workers is {workers}; give 1 or more")
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        written = _all_of(pool, [partial(_write_file, work, name, writer) for name, writer in writers.items()])
        _all_of(pool, checks)
    return dict(zip(writers, written, strict=True))


def _all_of(pool: ThreadPoolExecutor, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What ``calls`` return; after the first exception none is begun."""
    futures = [pool.submit(call) for call in calls]
    wait(futures, return_when=FIRST_EXCEPTION)
    if any(future.done() and future.exception() for future in futures):
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures if not future.cancelled()]


def _write_file(work: Work, name: str, writer: Callable[[HashedFile], Any]) -> WrittenFile:
    part = name.replace("/", "+")
    if found := work.proof(part):
        return WrittenFile(found["sha256"][name], found["facts"])
    unfinished = work.files / f"{name}.partial"
    with hashed_file(unfinished) as file:
        facts = writer(file)
    unfinished.rename(work.files / name)
    work.prove(part, {name: file.checksum}, facts=facts)
    return WrittenFile(file.checksum, facts)
