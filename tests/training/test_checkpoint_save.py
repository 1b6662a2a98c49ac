"""A save of one process: from one memory into many files, given up, failing, and read again in other boxes."""

import itertools
import math
import threading
import time
from types import MethodType, SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.distributed import checkpoint as torch_checkpoint

from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.mcore import dist_checkpointing, parallel_state, saving
from megatron_rfft.mcore.loading import load_state
from megatron_rfft.mcore.optimizer_shards import boxes
from megatron_rfft.mcore.saving import StateSaver
from megatron_rfft.training.callbacks import Checkpointing, checkpointing, watchdog
from megatron_rfft.training.checkpoint import content_metadata
from megatron_rfft.training.checkpoint_files import STATE, share_of_files, verified_manifest, weight_files
from megatron_rfft.training.checkpoint_save import CheckpointSave
from megatron_rfft.training.config import CheckpointSection
from megatron_rfft.training.layout import destroy_parallel, start_process_group
from megatron_rfft.training.trainer import Trainer

ShardedTensor = dist_checkpointing.ShardedTensor


@pytest.fixture(scope="module", autouse=True)
def alone():
    """A world of one process."""
    start_process_group(1)
    parallel_state.initialize_model_parallel(create_gloo_process_groups=False)
    yield
    destroy_parallel()


def state_of(value: float, size: int = 1000) -> dict:
    """Weights, and an optimizer's state, full of ``value``."""
    weights, moments = torch.full((size, 8), value, dtype=torch.bfloat16), torch.full((size, 8), value)
    return {
        "weights": ShardedTensor.from_rank_offsets("weights", weights),
        "moments": ShardedTensor.from_rank_offsets("optimizer.state.exp_avg.weights", moments),
        "step": value,
    }


def save(folder, saver, step: int, write_hf=lambda hf: None, size: int = 1000, **how) -> CheckpointSave:
    return CheckpointSave(folder / f"step-{step:08d}", state_of(float(step), size), write_hf, saver, step=step, **how)


@pytest.fixture
def slowly(monkeypatch):
    """Small pieces, each after a rest."""
    original = saving.write_tensor

    def write_tensor(file, shape, dtype, values, **how):
        original(file, shape, dtype, (time.sleep(0.002) or piece for piece in values), **how)

    monkeypatch.setattr(saving, "write_tensor", write_tensor)
    monkeypatch.setattr(saving, "_PIECE", 4096)


def test_saves_share_one_memory_and_hold_what_they_began_with(tmp_path):
    saver = StateSaver(content_metadata())
    first = save(tmp_path, saver, 1).finish()
    memory = saver.host_bytes
    second = save(tmp_path, saver, 2).finish()
    assert saver.host_bytes == memory == 1000 * 8 * (2 + 4)
    for value, path in ((1.0, first), (2.0, second)):
        verified_manifest(path)
        loaded = load_state(state_of(0.0), path / STATE, replicated=False)
        assert torch.equal(loaded["weights"], torch.full((1000, 8), value, dtype=torch.bfloat16))
        assert torch.equal(loaded["moments"], torch.full((1000, 8), value))
        assert loaded["step"] == value
    assert sorted(file.name for file in (second / STATE).iterdir()) == [
        ".metadata",
        "__0_0.distcp",
        "metadata.json",
        "optimizer__0_1.distcp",
    ]


def test_a_large_share_is_cut_into_files_of_about_one_size(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "FILE_BYTES", 1 << 14)
    tensors = {f"optimizer.{number}": torch.randn(1000 + number) for number in range(16)}
    state = {name: ShardedTensor.from_rank_offsets(name, values) for name, values in tensors.items()}
    save = CheckpointSave(tmp_path / "step-00000001", state, lambda hf: None, StateSaver(content_metadata()))
    files = verified_manifest(save.finish())["files"]
    sizes = [entry["bytes"] for name, entry in files.items() if name.startswith(f"{STATE}/optimizer")]
    assert len(sizes) == 4
    assert max(sizes) < 1.2 * min(sizes)
    wanted = {name: ShardedTensor.from_rank_offsets(name, torch.zeros_like(tensors[name])) for name in tensors}
    loaded = load_state(wanted, save.final / STATE, replicated=False)
    assert all(torch.equal(loaded[name], values) for name, values in tensors.items())


def test_a_save_that_is_given_up_leaves_nothing_and_its_memory_to_the_next_one(tmp_path, slowly):
    saver = StateSaver(content_metadata())
    save(tmp_path, saver, 1, size=10_000).abandon()
    assert list(tmp_path.iterdir()) == []
    path = save(tmp_path, saver, 2, size=10_000).finish()
    loaded = load_state(state_of(0.0, 10_000), path / STATE, replicated=False)
    assert loaded["moments"].unique().tolist() == [2.0]


def test_a_save_that_is_waited_for_tells_how_far_it_is(tmp_path, slowly):
    pending = save(tmp_path, StateSaver(content_metadata()), 1, size=10_000)
    seen: list[int] = []
    pending.finish(lambda: seen.append(pending.bytes_written))
    assert len(set(seen)) > 3
    assert seen == sorted(seen)
    assert seen[-1] == pending.bytes == 10_000 * 8 * (2 + 4)


@pytest.mark.parametrize(("hurry", "kept"), [(True, [2]), (False, [1, 2])])
def test_a_signal_does_not_wait_for_an_older_checkpoint(tmp_path, slowly, monkeypatch, hurry, kept):
    class Saver:
        def __init__(self, trainer):
            self._saver = StateSaver(content_metadata())

        def start(self, folder, completed):
            return save(folder, self._saver, trainer.step, size=100_000, completed=completed)

    monkeypatch.setattr(checkpointing, "TrainerSaver", Saver)
    trainer = SimpleNamespace(step=1, stopping="", hurry=False, save_requested=False, callback_states=dict)
    trainer.config = SimpleNamespace(run=SimpleNamespace(steps=9))
    trainer.note_progress = MethodType(Trainer.note_progress, trainer)
    callback = Checkpointing(tmp_path, CheckpointSection(interval=1))
    callback.on_start(trainer)
    callback.on_step(trainer, None)  # under way for two seconds
    trainer.step, trainer.stopping, trainer.hurry = 2, "SIGUSR1", hurry
    monkeypatch.setattr(saving, "_PIECE", 1 << 26)
    callback.on_step(trainer, None)
    callback.on_end(trainer)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-{step:08d}" for step in kept]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a defect")])
def test_whatever_fails_in_the_background_ends_the_run(tmp_path, error):
    def write_hf(folder):
        raise error

    saver = StateSaver(content_metadata())
    save(tmp_path, saver, 1).finish()
    with pytest.raises(CommandFailed, match=str(error).partition("] ")[2] or str(error)):
        save(tmp_path, saver, 2, write_hf).finish()
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000001"]


@st.composite
def windows(draw) -> tuple[tuple[int, int], list, list]:
    """A matrix, and two ways to cut all of it into boxes: by stretches, or by columns."""

    def cut(shape) -> list:
        if draw(st.booleans()):
            at = draw(st.integers(0, shape[1]))
            return [box for box in (((0, 0), (shape[0], at)), ((0, at), (shape[0], shape[1] - at))) if box[1][1]]
        ends = sorted({0, math.prod(shape), *draw(st.lists(st.integers(0, math.prod(shape)), max_size=3))})
        return [box for start, stop in itertools.pairwise(ends) for box in boxes(shape, start, stop)]

    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    return shape, cut(shape), cut(shape)


def _sharded(whole: torch.Tensor, parts: list, empty: bool) -> dict:
    state = {}
    for number, (offsets, sizes) in enumerate(parts):
        values = whole[tuple(slice(o, o + n) for o, n in zip(offsets, sizes, strict=True))].contiguous()
        data = torch.zeros_like(values) if empty else values
        state[str(number)] = ShardedTensor("w", data, data.dtype, sizes, tuple(whole.shape), offsets, None)
    return state


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(windows())
def test_what_was_saved_in_some_boxes_is_loaded_in_others(tmp_path, parts):
    shape, saved, wanted = parts
    whole = torch.arange(math.prod(shape), dtype=torch.float32).view(shape)
    state = _sharded(whole, saved, empty=False)
    path = CheckpointSave(tmp_path / "step-1", state, lambda hf: None, StateSaver(content_metadata())).finish()
    state = _sharded(whole, wanted, empty=True)
    targets = [part.data for part in state.values()]
    load_state(state, path / STATE, replicated=False)
    for target, (offsets, sizes) in zip(targets, wanted, strict=True):
        assert torch.equal(target, whole[tuple(slice(o, o + n) for o, n in zip(offsets, sizes, strict=True))])


def test_a_state_as_torch_itself_writes_it_is_loaded_by_boxes(tmp_path):
    """As older versions saved: each tensor whole, by torch's own writer."""
    whole = torch.arange(35, dtype=torch.float32).view(5, 7)
    state = {"w": whole, "common_state/shard_0_1": [{"step": 3}]}
    as_it_is = torch_checkpoint.DefaultSavePlanner(flatten_state_dict=False)
    torch_checkpoint.save(state, checkpoint_id=tmp_path, planner=as_it_is, no_dist=True)
    (tmp_path / "metadata.json").write_text('{"sharded_backend": "torch_dist", "sharded_backend_version": 1}')
    targets = {box: torch.zeros(box[1]) for box in boxes((5, 7), 4, 33)}
    wanted = {
        str(number): ShardedTensor("w", target, target.dtype, sizes, (5, 7), offsets, None)
        for number, ((offsets, sizes), target) in enumerate(targets.items())
    }
    assert load_state(wanted, tmp_path, replicated=False)["step"] == 3
    assert torch.cat([target.flatten() for target in targets.values()]).tolist() == list(range(4, 33))


def test_files_are_verified_where_they_were_written_and_in_equal_shares():
    names = {f"{STATE}/__{rank}_0.distcp": 100 + rank for rank in range(4)}
    names |= {f"{STATE}/optimizer__{rank}_1.distcp": 600 for rank in range(4)} | {"hf/config.json": 2}
    manifest = {"files": {name: {"bytes": size} for name, size in names.items()}}
    shares = [share_of_files(manifest, names, rank, 4) for rank in range(4)]
    assert sorted(name for share in shares for name in share) == sorted(names)
    for rank, share in enumerate(shares):
        assert {f"{STATE}/__{rank}_0.distcp", f"{STATE}/optimizer__{rank}_1.distcp"} <= set(share)
    assert weight_files(manifest) == [name for name in names if "optimizer" not in name]
    imported = {"files": {f"{STATE}/__0_{number}.distcp": {"bytes": 500} for number in range(6)}}
    shares = [share_of_files(imported, imported["files"], rank, 3) for rank in range(3)]
    assert [len(share) for share in shares] == [2, 2, 2]


def test_the_watchdog_lets_a_save_go_on_and_names_one_that_stands_still(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, strftime=time.strftime, sleep=time.sleep)
    monkeypatch.setattr(watchdog, "time", clock)
    monkeypatch.setattr("megatron_rfft.training.trainer.time", clock)
    monkeypatch.setattr(watchdog.faulthandler, "dump_traceback_later", lambda *args, **kwargs: None)
    ended = threading.Event()
    trainer = SimpleNamespace(step=7)
    trainer.note_progress = MethodType(Trainer.note_progress, trainer)
    dog = watchdog.Watchdog(tmp_path, timeout=0.5)
    dog._end = lambda: (dog._report(), ended.set(), dog._ended.set())
    dog.on_start(trainer)
    for written in range(20):
        clock.now += 0.4
        trainer.note_progress(f"writing step-00000007: {written} of 20.0 GB")
        time.sleep(0.06)
    assert not ended.is_set()
    clock.now += 0.6
    assert ended.wait(60)
    (report,) = tmp_path.glob("*/rank-0.txt")
    assert "step 7 is done, writing step-00000007: 19 of 20.0 GB, nothing for 0.5 s" in report.read_text()
