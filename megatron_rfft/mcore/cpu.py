"""megatron-core on CPU: everything that a machine without CUDA needs, in this one file, never active on a GPU.

megatron-core (0.19) has no CPU mode: it asks for ``device="cuda"``, streams, events and CUDA random states. Here those
requests are answered with their CPU equivalents, so that the same model, schedules, optimizer and checkpoints run on
gloo with unchanged numerics. Collectives need no help: gloo has all that megatron-core calls.
"""

import contextlib
import functools
import importlib.util
import logging
import sys
import time
import types
from collections.abc import Callable

import torch
import torch.utils._device

from megatron_rfft.mcore import cpu_kernels

_FACTORIES = ("tensor", "zeros", "ones", "empty", "full", "arange", "rand", "randn", "randint")
_LIKE_FACTORIES = ("empty_like", "zeros_like", "ones_like", "full_like")


_compile = torch.compile


def _as_it_is(function: Callable, **_: object) -> Callable:
    """In place of torch.compile for megatron-core's fusions: on CPU the compiler takes seconds, even to be imported."""
    return function


def install() -> None:
    """Put the CPU layer in place; call before megatron-core is imported.

    Raises RuntimeError where CUDA is available: a GPU run must never see any of this.
    """
    if torch.cuda.is_available():
        raise RuntimeError("the CPU layer must not be installed where CUDA is available")
    torch.compile = _as_it_is
    _redirect_factories()
    _redirect_movement()
    _answer_cuda_runtime()
    _drop_barrier_devices()
    _stub_triton_module()


def patch_imported() -> None:
    """The part of the layer that patches megatron-core's own functions; call after it is imported."""
    import megatron.core.tensor_parallel.random as mcore_random

    torch.compile = _compile  # megatron-core keeps what it found while it was imported
    mcore_random._get_cuda_rng_state = lambda device="cuda", clone=False, graph_safe=False: torch.get_rng_state()
    mcore_random._set_cuda_rng_state = lambda state, device=-1, graph_safe=False: torch.set_rng_state(state)
    # It warns on each fork that the CPU state changed, which is the point here.
    logging.getLogger(mcore_random.__name__).addFilter(lambda record: "CPU RNG state" not in record.getMessage())
    _fuse_layers()


def _fuse_layers() -> None:
    """Rotation and SwiGLU in few passes, a packed sequence's documents together: a GPU has kernels for all that."""
    import megatron.core.models.common.embeddings.rope_utils as rope
    import megatron.core.transformer.mlp as mlp

    one_by_one, step_by_step = rope._apply_rotary_pos_emb_thd, rope._apply_rotary_pos_emb_bshd

    @functools.wraps(one_by_one)
    def together(t, cu_seqlens, freqs, *args, cp_group=None, **kwargs):
        # Angles of every token of the sequence, which megatron-core takes as well: then it has one pass.
        angles = cpu_kernels.angles_of_documents(freqs, tuple(cu_seqlens.diff().tolist()))
        if cp_group is None or cp_group.size() > 1:
            return one_by_one(t, cu_seqlens, angles, *args, cp_group=cp_group, **kwargs)
        return at_once(t.unsqueeze(1), angles, *args, **kwargs).squeeze(1)

    @functools.wraps(step_by_step)
    def at_once(t, freqs, rotary_interleaved=False, mla_rotary_interleaved=False, mscale=1.0, **kwargs):
        if rotary_interleaved or mla_rotary_interleaved or freqs.shape[-1] != t.shape[-1]:
            return step_by_step(t, freqs, rotary_interleaved, mla_rotary_interleaved, mscale, **kwargs)
        return cpu_kernels.Rotation.apply(t, *cpu_kernels.cos_and_sin(freqs, mscale, t.dtype))

    rope._apply_rotary_pos_emb_thd, rope._apply_rotary_pos_emb_bshd = together, at_once
    mlp.bias_swiglu_impl = cpu_kernels.swiglu


def _is_cuda(device: object) -> bool:
    if isinstance(device, torch.device):
        return device.type == "cuda"
    if isinstance(device, str):
        return device.startswith("cuda")
    return isinstance(device, int) and not isinstance(device, bool)


def _redirect_factories() -> None:
    # torch.device("meta") contexts (used by transformers' from_pretrained) find factories by identity in a cached
    # set; fill the cache with the originals first, or models loaded there get uninitialized rotary frequencies.
    torch.utils._device._device_constructors()

    def on_cpu(factory: Callable) -> Callable:
        @functools.wraps(factory)
        def create(*args, **kwargs):
            if _is_cuda(kwargs.get("device")):
                kwargs["device"] = "cpu"
            kwargs.pop("pin_memory", None)
            return factory(*args, **kwargs)

        return create

    for name in _FACTORIES + _LIKE_FACTORIES:
        setattr(torch, name, on_cpu(getattr(torch, name)))


def _redirect_movement() -> None:
    torch.Tensor.cuda = lambda self, *args, **kwargs: self
    torch.Tensor.pin_memory = lambda self, *args, **kwargs: self
    torch.nn.Module.cuda = lambda self, *args, **kwargs: self
    original_to, original_type = torch.Tensor.to, torch.Tensor.type

    @functools.wraps(original_to)
    def to(self, *args, **kwargs):
        if args and not isinstance(args[0], torch.dtype | torch.Tensor) and _is_cuda(args[0]):
            args = ("cpu", *args[1:])
        if _is_cuda(kwargs.get("device")):
            kwargs["device"] = "cpu"
        return original_to(self, *args, **kwargs)

    @functools.wraps(original_type)
    def type_(self, *args, **kwargs):
        # The optimizer and gradient clipping compare type names with "torch.cuda.FloatTensor" and its kin.
        answer = original_type(self, *args, **kwargs)
        if not args and not kwargs and "megatron" in sys._getframe(1).f_code.co_filename:
            return answer.replace("torch.", "torch.cuda.", 1)
        return answer

    torch.Tensor.to, torch.Tensor.type = to, type_


class _Event:
    """Stands in for torch.cuda.Event: work on the CPU is done when it returns."""

    def __init__(self, *args, **kwargs):
        self._time = time.perf_counter()

    def record(self, *args) -> None:
        self._time = time.perf_counter()

    def wait(self, *args) -> None:
        pass

    synchronize = wait

    def query(self) -> bool:
        return True

    def elapsed_time(self, later: "_Event") -> float:
        return (later._time - self._time) * 1e3


class _Stream:
    """Stands in for torch.cuda.Stream: the CPU has one stream, always in order."""

    def __init__(self, *args, **kwargs):
        pass

    def wait_stream(self, *args) -> None:
        pass

    wait_event = synchronize = wait_stream

    def record_event(self, event: _Event | None = None) -> _Event:
        return event or _Event()

    def query(self) -> bool:
        return True


def _answer_cuda_runtime() -> None:
    stream = _Stream()
    answers = {
        "current_device": lambda: "cpu",
        "current_stream": lambda device=None: stream,
        "default_stream": lambda device=None: stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "synchronize": lambda device=None: None,
        "set_device": lambda device: None,
        "empty_cache": lambda: None,
        "get_rng_state": lambda device="cuda": torch.get_rng_state(),
        "set_rng_state": lambda state, device="cuda": torch.set_rng_state(state),
        "manual_seed": lambda seed: torch.random.default_generator.manual_seed(seed) and None,
        "is_current_stream_capturing": lambda: False,
        "get_device_capability": lambda device=None: (0, 0),
        "memory_allocated": lambda device=None: 0,
        "max_memory_allocated": lambda device=None: 0,
        "memory_stats": lambda device=None: {},
        "reset_peak_memory_stats": lambda device=None: None,
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    torch.cuda.Stream, torch.cuda.Event = _Stream, _Event
    torch.cuda.random.get_rng_state = torch.cuda.get_rng_state
    torch.cuda.nvtx.range_push = torch.cuda.nvtx.range_pop = lambda *args: None


def _drop_barrier_devices() -> None:
    original = torch.distributed.barrier

    @functools.wraps(original)
    def barrier(group=None, async_op=False, device_ids=None):
        return original(group, async_op)  # gloo refuses device_ids

    torch.distributed.barrier = barrier


def _stub_triton_module() -> None:
    """megatron-core >= 0.18 imports one triton file (MoE only); triton would be 1 GB for nothing on a CPU."""
    if importlib.util.find_spec("triton") is not None:
        return

    def needs_triton(*args, **kwargs):
        raise RuntimeError("paged stashing of MoE activations needs triton, which is not installed on this machine")

    stub = types.ModuleType("megatron.core.transformer.moe.ops.paged_stash")
    stub.GLOBAL_BLOCK_SIZE = 1024
    stub.paged_stash_copy_kernel = stub.paged_stash_pop_kernel = needs_triton
    sys.modules[stub.__name__] = stub
