"""A parallel ``map`` whose processes end when the process that started them does, even if that one is killed."""

import gc
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.tasks import load_task_file, own_task_files


@contextmanager
def worker_map(num_workers: int) -> Iterator[Callable]:
    """Yield a function like ``map`` that keeps the order of its results; with one worker it is ``map`` itself."""
    if num_workers == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    files = own_task_files()
    try:
        with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_start, initargs=(files,)) as pool:
            yield pool.map
    except BrokenProcessPool as error:
        raise CommandFailed(
            "a worker process ended in the middle of its work (killed by the system, for memory perhaps); "
            "run the command again, it continues: with fewer --workers if it happens again"
        ) from error


@contextmanager
def no_collector() -> Iterator[None]:
    """Without Python's search for cycles, a tenth of the time: examples leave next to none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _start(task_files: list[str]) -> None:
    for file in task_files:
        load_task_file(file, is_proven=True)

    def end_with_parent() -> None:
        """Without this a worker waits for its next job for ever once the parent is gone."""
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
