"""A checkpoint while it is being written, from the copy in host memory to the folder under its name."""

import errno
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.common.files import sync_directory
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.mcore import DEVICE
from megatron_rfft.mcore.saving import CHECKSUMS, Part, StateSaver
from megatron_rfft.training.checkpoint_files import CHECKPOINT_KIND, HF, MANIFEST, STATE
from megatron_rfft.training.collective import on_first_rank

_PAUSE = 0.02  # seconds between two looks at a save that is waited for


class CheckpointSave:
    """A checkpoint under way: threads of each rank write its share into a hidden folder, and one of the first rank
    completes it.

    All methods are collective. The folder gets its name when ``poll`` says so, or ``finish`` returns; both raise
    CommandFailed on every rank if it could not be written.
    """

    def __init__(
        self,
        final: Path,
        state: dict,
        write_hf: Callable[[Path], None],
        saver: StateSaver,
        *,
        completed: Callable[[], None] = lambda: None,
        **sections: Any,
    ):
        """Copy ``state`` and begin to write it; ``completed`` is called on the first rank when all is done."""
        self.final, self._saver, self._sections = final, saver, sections
        self._write_hf, self._completed = write_hf, completed
        self._temporary = final.with_name(f".{final.name}.tmp")
        on_first_rank(lambda: self._with_room(self._make_folders))
        self._writer = saver.start(state, self._temporary / STATE)
        self.bytes = self.bytes_written = 0
        """Of all ranks, as of the last ``poll``."""
        self._completing = False
        self._thread: threading.Thread | None = None
        self._failure: CommandFailed | None = None

    def poll(self) -> bool:
        """Whether the checkpoint is there; takes no longer than the ranks need to agree."""
        if not self._completing:
            state = [not self._writer.is_done, self._writer.bytes_written, self._writer.bytes]
            state = torch.tensor(state, dtype=torch.int64, device=DEVICE)
            torch.distributed.all_reduce(state)
            writing, self.bytes_written, self.bytes = state.tolist()
            if not writing:
                self._begin_to_complete()
            return False
        return on_first_rank(self._is_completed)

    def finish(self, on_progress: Callable[[], None] = lambda: None) -> Path:
        """Wait for all ranks; the checkpoint's path. Calls ``on_progress`` on every rank whenever something was
        written.
        """
        seen, pause = None, 0.001
        while not self.poll():
            if (self.bytes_written, self._completing) != seen:
                seen = self.bytes_written, self._completing
                on_progress()
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE)
        return self.final

    def abandon(self) -> None:
        """Stop writing and remove what was written, unless it is only to be completed: then wait for that."""
        if self._completing:
            self.finish()
            return
        self._writer.cancel()
        torch.distributed.barrier()
        on_first_rank(lambda: shutil.rmtree(self._temporary, ignore_errors=True))

    def _make_folders(self) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
        (self._temporary / STATE).mkdir(parents=True)
        (self._temporary / HF).mkdir()

    def _begin_to_complete(self) -> None:
        part, is_first = self._writer.part(), torch.distributed.get_rank() == 0
        parts: list[Any] | None = [None] * torch.distributed.get_world_size() if is_first else None
        torch.distributed.gather_object(part, parts)
        self._completing = True
        if parts is not None:
            self._thread = threading.Thread(target=self._complete, args=(parts,), daemon=True)
            self._thread.start()

    def _is_completed(self) -> bool:
        if self._thread.is_alive():
            return False
        if self._failure is not None:
            raise self._failure
        return True

    def _complete(self, parts: list[Part]) -> None:
        try:
            self._with_room(lambda: self._put_together(parts))
        except CommandFailed as error:
            self._failure = error
        except Exception as error:  # whatever it is, the next step raises it on every rank
            self._failure = CommandFailed(f"checkpoint {self.final} failed: {type(error).__name__}: {error}")

    def _put_together(self, parts: list[Part]) -> None:
        for rank, part in enumerate(parts):
            if part.error is not None:
                raise OSError(errno.EIO, f"rank {rank}: {part.error}")
        self._saver.write_index(self._temporary / STATE, parts)
        self._write_hf(self._temporary / HF)
        files = [path for path in self._temporary.rglob("*") if path.is_file()]
        state = self._temporary / STATE
        known = {state / name: checksum for part in parts for name, checksum in part.checksums.items()}
        write_manifest(self._temporary / MANIFEST, CHECKPOINT_KIND, files, known, CHECKSUMS, **self._sections)
        shutil.rmtree(self.final, ignore_errors=True)
        self._temporary.rename(self.final)
        sync_directory(self.final.parent)
        self._completed()

    def _with_room(self, work: Callable[[], None]) -> None:
        """Do ``work``; if the disk refuses it, leave nothing half-written and say so."""
        try:
            work()
        except OSError as error:
            shutil.rmtree(self._temporary, ignore_errors=True)
            fix = "make the folder writable" if error.errno in (errno.EACCES, errno.EROFS) else "free some room"
            raise CommandFailed(
                f"checkpoint {self.final} could not be written ({error.strerror or error}); older ones are untouched: "
                f"{fix} and run it again"
            ) from error
