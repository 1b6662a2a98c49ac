"""Work that may be killed at any moment: run again with the same inputs, it continues to the same bytes.

All long work does this in one way. A run holds a lock, so that no second one does the same. Its notes say what the work
was begun with, and prove each finished part by the checksums of its files. The manifest comes last and ends the notes.
Several runs may share the work, each with a part of it: the one that is last writes the manifest.
"""

import glob
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout, lock_descriptor

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, sha256_file, write_json
from megatron_rfft.common.manifest import DamagedManifest, read_manifest, verify_manifest

_SHOWN = 80  # characters of a value in a message


@dataclass(frozen=True)
class Part:
    """Every ``count``-th piece of work from ``number`` on: what one of several runs does (``number`` from 0)."""

    number: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Parse ``"3/8"``. Raises UserError unless 0 <= 3 < 8: parts are counted from 0, like a job array's tasks."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal()):
            raise UserError(f"--shard {text!r} is not I/N; write for example 0/8, with I from 0 to N-1")
        if int(number) >= int(count):
            last = f"0/{count} to {int(count) - 1}/{count}, not 1/{count} to {count}/{count}" if int(count) else "0/8"
            raise UserError(f"--shard {text!r} does not exist: I counts from 0; write {last}")
        return cls(int(number), int(count))


_WHOLE = Part()


@contextmanager
def hold(path: Path, busy: str) -> Iterator[None]:
    """Hold the file ``path``, which is there meanwhile, alone. Raises UserError(``busy``) if another process has it.

    The lock ends with the process, however that ends.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(busy) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # who has it open already looks for the next one of this name
        lock.release()


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Let processes that come here at the same time pass one after the other; ``path`` is there meanwhile."""
    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Whether a process holds the file ``path``: to read it is enough."""
    mode = "r+b" if os.access(path, os.W_OK) else "rb"  # over NFS only who may write can lock
    try:
        with open(path, mode) as file:
            return not lock_descriptor(file.fileno(), blocking=False)
    except FileNotFoundError:
        return False


@contextmanager
def held(lock: Path, output: Path, part: Part | None = None) -> Iterator[None]:
    """Hold ``output`` for a run that writes all of it, or ``part`` of it while other runs write theirs.

    Files beside ``lock`` are there meanwhile, ``LOCK.0-of-8`` for a part. Raises UserError if another run writes the
    same.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    own, whole = _claim(lock, part or _WHOLE), _claim(lock, _WHOLE)
    busy = f"another run is writing {output}; wait for it, or give another --output"
    with ExitStack() as claim:
        with in_turn(lock):  # who looks whether a file is held holds it for a moment
            for rival in _other_claims(lock, own) if own == whole else [whole]:
                if is_held(rival):
                    raise UserError(busy)
                rival.unlink(missing_ok=True)  # of a run that was killed
            claim.enter_context(hold(own, busy))
        yield


def _claim(lock: Path, part: Part) -> Path:
    return lock.with_name(f"{lock.name}.{part.number}-of-{part.count}")


def _other_claims(lock: Path, own: Path) -> list[Path]:
    return [path for path in lock.parent.glob(f"{glob.escape(lock.name)}.*-of-*") if path != own]


def first_difference(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first key (``a.b`` within mappings) whose values differ, and these; a key that is missing stands for None."""
    for key in {**begun, **wanted}:
        old, new = begun.get(key), wanted.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if found := first_difference(old, new):
                return f"{key}.{found[0]}", *found[1:]
        elif old != new:
            return key, old, new
    return None


def require_same_inputs(
    output: Path, begun: Mapping[str, Any], wanted: Mapping[str, Any], fix: str | None = None
) -> None:
    """Raise UserError if what is at ``output`` was ``begun`` with other inputs (JSON values) than are ``wanted``."""
    if differing := _differing(begun, wanted):
        raise UserError(_refusal(output, differing, fix))


def _differing(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    if found := first_difference(*map(json.loads, map(json.dumps, (begun, wanted)))):  # tuples are lists there
        key, old, new = found
        return f"{key} {_shown(old)}, this run has {_shown(new)}"
    return None


def _refusal(output: Path, differing: str, fix: str | None = None) -> str:
    return f"{output} was begun with {differing}; {fix or f'give another --output, or remove {output}'}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]} ..."


def finished_manifest(
    path: Path,
    kind: str,
    inputs: Mapping[str, Any],
    *,
    section: str = "inputs",
    output: Path | None = None,
    hashed: bool = True,
) -> dict[str, Any] | None:
    """The manifest of an artifact that is already there, made from the same ``inputs`` and whole; else None.

    ``section`` of the manifest holds the inputs. Without ``hashed``, files are whole that have the right size. Raises
    UserError, which names ``output`` or else the manifest, if the artifact was made from other inputs: it is not
    overwritten. Where the manifest is damaged, nobody knows what it was made from.
    """
    if not path.is_file():
        return None
    try:
        manifest = read_manifest(path, kind)
    except DamagedManifest:
        return None
    if manifest.get(section) is None:
        return None
    require_same_inputs(output or path, manifest[section], inputs)
    return None if verify_manifest(path, kind, hashed) else manifest


@dataclass(frozen=True)
class Work:
    """Work on ``output`` by one run, or by several that each do a ``part``. Other processes may get a copy."""

    output: Path
    notes: Path
    """Folder of what an unfinished work needs, and of nothing else."""
    files: Path
    """Folder in which the files of the parts lie: may be ``notes``."""
    part: Part | None = None

    @property
    def _settings(self) -> Path:
        return self.notes / "settings.json"

    @property
    def _lock(self) -> Path:
        return self.notes.with_name(f".{self.notes.name.lstrip('.')}.lock")

    def held(self) -> AbstractContextManager[None]:
        """Hold the work, or the part of it, as the function ``held`` does."""
        return held(self._lock, self.output, self.part)

    def begin(self, inputs: Mapping[str, Any], anew: bool = False) -> None:
        """Continue the work, which is held, if it was begun with these ``inputs`` (JSON values), else note them.

        Of work with other inputs nothing is kept if no part is finished. Where some are, ``anew`` says to start anew,
        with a note on stderr. Raises UserError otherwise, and where other runs are at work with those inputs.
        """
        with in_turn(self._lock):
            is_noted = self._settings.is_file()
            differing = _differing(self._begun(), inputs) if is_noted else "inputs that nobody noted"
            if differing is None:
                return
            others = _other_claims(self._lock, _claim(self._lock, self.part or _WHOLE))
            if is_noted and any(map(is_held, others)):
                raise UserError(
                    f"another run is writing {self.output} with {differing}; wait for it, or give another --output"
                )
            if self._holds_parts():
                if not anew:
                    raise UserError(_refusal(self.output, differing))
                print(f"note: {self.notes} was begun with {differing}; starting anew", file=sys.stderr)
            self.end()
            write_json(self._settings, inputs)

    def _begun(self) -> dict[str, Any]:
        try:
            return read_json(self._settings)
        except UserError:  # damaged
            return {}

    def _holds_parts(self) -> bool:
        if not self.notes.is_dir():
            return False
        return any(path != self._settings and path.suffix != ".tmp" for path in self.notes.iterdir())

    def prove(self, part: str, checksums: Mapping[str, str], **facts: Any) -> None:
        """Note that ``part`` is finished: the SHA-256 of its files in ``files``, by name, and what is to be kept."""
        write_json(self.notes / f"{part}.json", {"sha256": dict(checksums), **facts})

    def proof(self, part: str, hashed: bool = True) -> dict[str, Any] | None:
        """What ``prove`` noted of a part whose files are all there (and, with ``hashed``, whole); else None."""
        try:
            proof = read_json(self.notes / f"{part}.json")
        except UserError:  # it is not there, or was damaged with the power gone
            return None
        if not isinstance(proof["sha256"], dict):  # of an older version
            return None
        for name, checksum in proof["sha256"].items():
            file = self.files / name
            if not file.is_file() or (hashed and sha256_file(file) != checksum):
                return None
        return proof

    def finish(
        self,
        parts: Sequence[str],
        make: Callable[[list[dict[str, Any]]], dict[str, Any]],
        made: Callable[[], dict[str, Any]],
    ) -> dict[str, Any] | None:
        """The manifest that ``make`` writes, given the proofs of all ``parts``; None while some are missing.

        ``made`` reads it where a run that finished at the same time was faster.
        """
        with in_turn(self._lock.with_suffix(".finish")):
            if not self._settings.is_file():
                self.end()  # what a part that another run had made, too, has noted since
                return made()
            proofs = [self.proof(part, hashed=False) for part in parts]
            if not all(proofs):
                return None
            manifest = make(proofs)
            self.end()
        return manifest

    def end(self) -> None:
        """Remove the notes."""
        shutil.rmtree(self.notes, ignore_errors=True)
