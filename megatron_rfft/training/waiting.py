"""How long a rank waits for others within a step: on it, not on the step's time, can a slow rank be told."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.distributed import ProcessGroup, Work

from megatron_rfft.mcore import ON_GPU

_CALLS = (
    "_allgather_base",
    "_end_coalescing",
    "_reduce_scatter_base",
    "all_gather_single",
    "all_gather_single_coalesced",
    "all_to_all_single",
    "allgather",
    "allgather_coalesced",
    "allgather_into_tensor_coalesced",
    "allreduce",
    "allreduce_coalesced",
    "alltoall",
    "alltoall_base",
    "barrier",
    "broadcast",
    "gather",
    "recv",
    "recv_anysource",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_single",
    "reduce_scatter_single_coalesced",
    "reduce_scatter_tensor_coalesced",
    "scatter",
    "send",
)
"""What a process group does with others; a release of torch has most of them."""


class Waiting:
    """The time that is spent in collectives, and in waiting for those that were begun."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def timed(self, call: Callable) -> Callable:
        """``call``, its time counted: on a GPU that in which its stream stands still, on a CPU the call's own."""

        def on_gpu(*args: Any, **kwargs: Any) -> Any:
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
            answer = call(*args, **kwargs)
            after.record()
            self._events.append((before, after))
            return answer

        def on_cpu(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            answer = call(*args, **kwargs)
            self._seconds += time.perf_counter() - began
            return answer

        return on_gpu if ON_GPU else on_cpu

    def seconds(self) -> float:
        """All of it; the device must be synchronized."""
        return self._seconds + sum(before.elapsed_time(after) for before, after in self._events) / 1000


@contextmanager
def watch_waiting() -> Iterator[Waiting]:
    """Count, inside the block, how long this rank waits in collectives, whoever begins them."""
    waiting = Waiting()
    with ExitStack() as undo:
        for owner, names in ((Work, ("wait",)), (ProcessGroup, _CALLS)):
            for name in names:
                if name in vars(owner):
                    undo.callback(setattr, owner, name, vars(owner)[name])  # getattr's would not bind to instances
                    setattr(owner, name, waiting.timed(getattr(owner, name)))
        yield waiting
