"""What a run sets around itself: variables by layout, priorities, garbage collection, user buffers."""

import gc
import os
import sys
import types
import weakref
from unittest import mock

import pytest

from megatron_rfft.mcore.user_buffers import free_user_buffers, make_user_buffers
from megatron_rfft.training.callbacks import GarbageCollection
from megatron_rfft.training.environment import layout_environment, priority_groups, set_environment
from tests.training.test_layout_check import configured

MARGINS = {"NVTE_FWD_LAYERNORM_SM_MARGIN": "16", "NVTE_BWD_LAYERNORM_SM_MARGIN": "16"}
SEGMENTS = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}


@pytest.mark.parametrize(
    ("parallel", "world_size", "expected"),
    [
        ("{}", 1, {"CUDA_DEVICE_MAX_CONNECTIONS": "8", **SEGMENTS}),
        ("{}", 8, {"CUDA_DEVICE_MAX_CONNECTIONS": "8", **SEGMENTS, **MARGINS}),
        ("{pipeline: 2}", 8, {"CUDA_DEVICE_MAX_CONNECTIONS": "8", **SEGMENTS, **MARGINS}),
        ("{tensor: 2}", 8, {"CUDA_DEVICE_MAX_CONNECTIONS": "1", **SEGMENTS, **MARGINS}),
        ("{context: 2}", 8, {"CUDA_DEVICE_MAX_CONNECTIONS": "1", **SEGMENTS, **MARGINS}),
    ],
)
def test_variables_follow_the_layout(parallel, world_size, expected):
    assert layout_environment(configured(f"{{parallel: {parallel}}}"), world_size) == expected


def test_what_a_user_has_set_stays():
    own = {"WORLD_SIZE": "2", "CUDA_DEVICE_MAX_CONNECTIONS": "32", "PYTORCH_ALLOC_CONF": "max_split_size_mb:64"}
    with mock.patch.dict(os.environ, own, clear=True):
        set_environment(configured("{parallel: {tensor: 2}}"))
        assert dict(os.environ) == {**own, **MARGINS}


def test_traffic_that_is_waited_for_goes_first():
    assert priority_groups(configured("{parallel: {tensor: 4, pipeline: 2}}")) == ["tp", "pp"]
    assert priority_groups(configured("{}")) == []


class Cycle:
    """Only a collection can free it."""

    def __init__(self):
        self.itself = self


def test_garbage_is_collected_at_given_steps_alone():
    callback, trainer = GarbageCollection(interval=3), mock.Mock(step=0)
    callback.on_start(trainer)
    try:
        assert not gc.isenabled()
        garbage = weakref.ref(Cycle())
        for trainer.step in (1, 2):
            callback.on_step(trainer, None)
            assert garbage() is not None
        trainer.step = 3
        callback.on_step(trainer, None)
        assert garbage() is None
    finally:
        callback.on_end(trainer)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("fp8", "also_bf16", "modes"), [(False, True, ["none"]), (True, False, ["fp8"]), (True, True, ["fp8", "none"])]
)
def test_user_buffers_are_asked_of_transformer_engine_by_its_names(monkeypatch, fp8, also_bf16, modes):
    """Its signature in 2.x, as read; a stand-in takes the call."""
    base = mock.Mock(UserBufferQuantizationMode=types.SimpleNamespace(FP8="fp8", NONE="none"))
    for name in ("transformer_engine", "transformer_engine.pytorch"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    module = types.ModuleType("transformer_engine.pytorch.module")
    module.base = base
    monkeypatch.setitem(sys.modules, module.__name__, module)
    make_user_buffers(8192, 5120, 8, fp8=fp8, also_bf16=also_bf16)
    (call,) = base.initialize_ub.call_args_list
    assert (call.kwargs["shape"], call.kwargs["tp_size"]) == ([8192, 5120], 8)
    assert (call.kwargs["quantization_modes"], call.kwargs["bootstrap_backend"]) == (modes, "nccl")
    free_user_buffers()
    free_user_buffers()
    base.destroy_ub.assert_called_once_with()
