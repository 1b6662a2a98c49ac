"""Writing a corpus: shards that are pure functions of the settings, so that a killed run continues to the same bytes.

A shard appears under its name only when it is whole. While a run is under way, ``.progress/`` holds its settings and
the checksum of each finished shard; the manifest comes last and takes its place. Several runs, each with a part of the
shards, may write one corpus: the one that finishes last writes the manifest.
"""

import gc
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json, write_json
from megatron_rfft.common.manifest import read_manifest, write_manifest
from megatron_rfft.common.parts import Part, held, in_turn, read_proof, write_proof
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.corpus.config import CorpusConfig
from megatron_rfft.corpus.plan import CorpusPlan, plan_cell
from megatron_rfft.corpus.workers import worker_map
from megatron_rfft.tasks import load_task

MANIFEST = "manifest.json"
PROGRESS = ".progress"
FINISH_LOCK = ".finish.lock"


def generate_corpus(
    config: CorpusConfig, output: Path | str, num_workers: int = 1, part: Part | None = None
) -> dict[str, Any] | None:
    """Write the corpus, or its ``part``, into the folder ``output``; whole shards found there are kept.

    Returns the manifest, or None if other parts are still missing. The bytes depend on ``config`` alone. Raises
    UserError if the folder holds a corpus of other settings or is in use.
    """
    output = Path(output)
    if num_workers < 1:
        raise UserError(f"the number of workers is {num_workers}; ask for at least 1")
    if part is not None and part.count > config.num_shards:
        raise UserError(f"{config.num_shards} shards make no {part.count} parts; give --num-shards {part.count}")
    output.mkdir(parents=True, exist_ok=True)
    settings = config.record()
    with held(output, part is not None, output):
        if (manifest := _open_folder(output, settings, alone=part is None)) is not None:
            _clean_up(output)
            return manifest
        with worker_map(num_workers) as parallel_map:
            plan = plan_corpus(config, parallel_map)
            _write_shards(config, plan, output, part or Part(), parallel_map)
        return _finish(config, settings, plan, output)


def shard_name(number: int, num_shards: int) -> str:
    """``shard-00000-of-00004.jsonl``."""
    return f"shard-{number:05d}-of-{num_shards:05d}.jsonl"


def _open_folder(output: Path, settings: dict[str, Any], alone: bool) -> dict[str, Any] | None:
    """The manifest if the corpus is finished; else prepare the folder for these settings and return None."""
    progress = output / PROGRESS
    if alone:
        _remove_leftovers(output, progress)  # no other run writes here: we hold the lock
    if (output / MANIFEST).exists():
        manifest = read_manifest(output / MANIFEST, "corpus")
        _require_same(manifest["config"], settings, output)
        if all(_has_size(output / name, entry["bytes"]) for name, entry in manifest["files"].items()):
            return manifest
        (output / MANIFEST).unlink()
    if (progress / "settings.json").exists():
        _require_same(read_json(progress / "settings.json"), settings, output)
    else:
        write_json(progress / "settings.json", settings)
    return None


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _require_same(found: dict[str, Any], asked: dict[str, Any], output: Path) -> None:
    differing = [key for key in asked if found.get(key) != asked[key]]
    if differing:
        key = differing[0]
        change = f"{key} {found.get(key)}, not {asked[key]}"
        if key == "tasks":
            change = "other tasks, other lengths, or a task whose file has changed since"
        raise UserError(f"{output} holds a corpus with {change}; give another --output, or remove that folder")


def plan_corpus(config: CorpusConfig, parallel_map) -> CorpusPlan:
    """Which example each record of the corpus is. Raises UserError if there is none."""
    cells = list(config.cells())
    settings = (repeat(config.split), repeat(config.form), repeat(config.max_tokens))
    planned = []
    with progress_bar(len(cells), "planning", "cells") as bar:
        for cell in parallel_map(plan_cell, *zip(*cells, strict=True), *settings):
            planned.append(cell)
            bar.update()
    if not any(cell.indices for cell in planned):
        if any(cell.most_tokens for cell in planned):
            raise UserError(f"every example takes more than max_tokens {config.max_tokens}; raise it")
        raise UserError(f"none of these tasks and lengths has an instance in split {config.split}; ask for longer ones")
    return CorpusPlan(planned)


def _write_shards(config: CorpusConfig, plan: CorpusPlan, output: Path, part: Part, parallel_map) -> None:
    numbers = range(part.number, config.num_shards, part.count)
    total = sum(len(plan.shard(number, config.num_shards)) for number in numbers)
    with progress_bar(total, "generating", "records") as bar:
        kept = (plan.kept(plan.shard(number, config.num_shards)) for number in numbers)
        for count in parallel_map(_write_shard, repeat(config), repeat(plan), repeat(output), numbers, kept):
            bar.update(count)


def _write_shard(config: CorpusConfig, plan: CorpusPlan, output: Path, number: int, kept: list[bytes | None]) -> int:
    """Write one shard unless it is there and proven; the number of its records."""
    path = output / shard_name(number, config.num_shards)
    positions = plan.shard(number, config.num_shards)
    if read_proof(_proof(path), output, hashed=True):
        return len(positions)
    digest = hashlib.sha256()
    with atomic_write(path, "wb") as handle:
        for line in shard_lines(config, plan, number, kept):
            digest.update(line)
            handle.write(line)
    write_proof(_proof(path), {path.name: digest.hexdigest()})
    return len(positions)


def shard_lines(config: CorpusConfig, plan: CorpusPlan, number: int, kept: list[bytes | None]) -> list[bytes]:
    """The lines of a shard: made task by task, which keeps the processor's caches warm, then put in their order.

    ``kept`` is ``plan.kept`` of it.
    """
    positions = plan.shard(number, config.num_shards)
    encode = msgspec.json.Encoder().encode
    lines = [b""] * len(positions)
    with _no_collector():
        for (position, task, length, index), drawn in zip(plan.places(positions), kept, strict=True):
            record = load_task(task).example(length, config.split, index, config.form, drawn).record()
            lines[position - positions.start] = encode(record) + b"\n"
    return lines


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without Python's search for cycles, a tenth of the time: examples leave next to none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _proof(shard: Path) -> Path:
    return shard.parent / PROGRESS / f"{shard.name}.json"


def _finish(config: CorpusConfig, settings: dict[str, Any], plan: CorpusPlan, output: Path) -> dict[str, Any] | None:
    """Write the manifest once all shards are there, whichever run that falls to; None if some are missing."""
    shards = [output / shard_name(number, config.num_shards) for number in range(config.num_shards)]
    with in_turn(output / FINISH_LOCK):  # parts may finish together
        if (output / MANIFEST).exists():
            return read_manifest(output / MANIFEST, "corpus")
        proofs = {shard: read_proof(_proof(shard), output, hashed=False) for shard in shards}
        if not all(proofs.values()):
            return None
        checksums = {shard: proof["sha256"][shard.name] for shard, proof in proofs.items()}
        sections = {"config": settings, "counts": plan.counts(), "tokens": plan.token_statistics()}
        if config.near_twins:
            sections["near_twins"] = config.near_twins
        manifest = write_manifest(output / MANIFEST, "corpus", shards, checksums, **sections)
        _clean_up(output)
    return manifest


def _clean_up(output: Path) -> None:
    """Remove what only an unfinished corpus needs, and what killed runs have left of shards that are whole now."""
    _remove_leftovers(output)
    shutil.rmtree(output / PROGRESS, ignore_errors=True)
    (output / FINISH_LOCK).unlink(missing_ok=True)


def _remove_leftovers(*folders: Path) -> None:
    for folder in folders:
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
