"""Host memory that a GPU copies to while its stream goes on."""

import weakref

import torch
from torch import Tensor


def pinned(memory: Tensor) -> Tensor:
    """``memory`` itself, locked in place if there is a GPU: as many bytes as it has.

    What torch pins, it takes in sizes that are powers of two: up to twice as much.
    """
    if torch.cuda.is_available() and memory.nbytes:
        runtime = torch.cuda.cudart()
        torch.cuda.check_error(int(runtime.cudaHostRegister(memory.data_ptr(), memory.nbytes, 0)))
        # Before the allocator gives the pages to anyone else. The end of the process needs no help.
        weakref.finalize(memory, runtime.cudaHostUnregister, memory.data_ptr()).atexit = False
    return memory
