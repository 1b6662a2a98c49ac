"""Sharded states written by a thread, while training goes on.

megatron-core's own background saving forks a process: it duplicates one that holds CUDA, NCCL and gloo threads in
whatever state they are in, reports a failed write as a lost message, and leaves a writer behind when the trainer is
killed. A thread has none of this, and costs little: writing, syncing and hashing release the interpreter's lock.
What comes from megatron-core is the plan (who writes what) and the file format.
"""

import threading
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.files import sha256_file

from megatron.core import dist_checkpointing
from megatron.core.dist_checkpointing.core import CheckpointingConfig, save_config
from megatron.core.dist_checkpointing.strategies.filesystem_async import FileSystemWriterAsync
from megatron.core.dist_checkpointing.strategies.torch import TorchDistSaveShardedStrategy


class _Plan(TorchDistSaveShardedStrategy):
    """Keeps what megatron-core hands to its own writer: the planned writes, and the metadata on the first rank."""

    def _get_save_and_finalize_callbacks(self, writer, planned, async_strategy):
        self.writer, self.metadata = writer, planned[1]
        return super()._get_save_and_finalize_callbacks(writer, planned, async_strategy)


class StateWriter:
    """Writes this rank's part of a sharded state dict into ``folder``; creating one is collective.

    When the constructor returns, the state is planned and (with ``copy``) copied to host memory, so that training may
    change it, and a thread is writing it.
    """

    def __init__(self, state: dict, folder: Path, content: dict[str, Any], *, copy: bool):
        self._folder, self._plan = folder, _Plan()
        dist_checkpointing.save(
            state,
            str(folder),
            self._plan,
            async_sharded_save=True,
            content_metadata=content,
            async_strategy="mcore",
        )
        writer = self._plan.writer
        self._transforms = [writer.transforms] if hasattr(writer, "transforms") else []
        self.results: list = []
        self.checksums: dict[Path, str] = {}
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._write, args=(_on_host(writer.write_buckets, copy),), daemon=True)
        writer.write_buckets = None
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether this rank's part is on disk, or has failed."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Until ``is_done``."""
        self._thread.join()

    def finish(self, results: list[list]) -> None:
        """On the first rank, when all are done: write the index of every rank's ``results``."""
        self._plan.writer.finish(self._plan.metadata, results)
        save_config(CheckpointingConfig(self._plan.backend, self._plan.version), str(self._folder))

    def _write(self, buckets: list) -> None:
        try:
            for number, bucket in enumerate(buckets):
                _, outcome = FileSystemWriterAsync.write_preloaded_data(
                    self._transforms, number, bucket, None, None, use_fsync=True
                )
                if isinstance(outcome, Exception):
                    raise outcome
                self.results += outcome
                self.checksums[Path(bucket[0])] = sha256_file(bucket[0])
        except Exception as error:  # whatever it is, the next step raises it on every rank
            self.error = error


def _on_host(buckets: list, copy: bool) -> list:
    """The planned writes with all tensors in host memory, in one pass and one wait; see megatron-core's WriteBucket."""
    staged = []
    for path, name, (values, tensors) in buckets:
        moved = [(item, tensor.to("cpu", non_blocking=True, copy=copy)) for item, tensor in tensors]
        staged.append((path, name, (values, moved)))
    torch.cuda.synchronize()
    return staged
