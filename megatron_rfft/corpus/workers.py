"""A parallel ``map`` whose processes end when the process that started them does, even if that one is killed."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def worker_map(num_workers: int) -> Iterator[Callable]:
    """Yield a function like ``map`` that keeps the order of its results; with one worker it is ``map`` itself."""
    if num_workers == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_end_with_parent) as pool:
        yield pool.map


def _end_with_parent() -> None:
    """Without this a worker waits for its next job for ever once the parent is gone."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
