"""Host memory for copies from the device, on a runtime that only notes what it is asked for."""

from types import SimpleNamespace

import pytest
import torch

from megatron_rfft.mcore.pinned import pinned


@pytest.fixture
def locked(monkeypatch) -> dict[int, int]:
    """Bytes by address."""
    found: dict[int, int] = {}
    runtime = SimpleNamespace(
        cudaHostRegister=lambda address, size, flags: found.update({address: size}) or 0,
        cudaHostUnregister=lambda address: found.pop(address) and 0,
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    monkeypatch.setattr(torch.cuda, "check_error", lambda code: None)
    return found


def test_as_many_bytes_are_locked_as_there_are_and_as_long_as_they_are_used(locked):
    memory = pinned(torch.empty(1000, dtype=torch.uint8))
    assert locked == {memory.data_ptr(): 1000}
    del memory
    assert locked == {}
    assert pinned(torch.empty(0, dtype=torch.uint8)).numel() == 0
    assert locked == {}
