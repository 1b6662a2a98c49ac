"""Writing a corpus: shards that are pure functions of the settings, so that a killed run continues to the same bytes.

A shard appears under its name only when it is whole. While a run is under way, ``.progress/`` holds its settings and
the checksum of each finished shard; the manifest comes last and takes its place. Several runs, each with a part of the
shards, may write one corpus: the one that finishes last writes the manifest.
"""

import hashlib
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, remove_unfinished
from megatron_rfft.common.manifest import DamagedManifest, read_manifest, write_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.common.restart import Part, Work, finished_manifest
from megatron_rfft.corpus.config import CorpusConfig
from megatron_rfft.corpus.plan import CorpusPlan, plan_cell
from megatron_rfft.corpus.read import corpus_manifest
from megatron_rfft.corpus.workers import no_collector, worker_map
from megatron_rfft.tasks import load_task

MANIFEST = "manifest.json"
_LINES_AT_ONCE = 64  # of a shard: a write to the file that the processor's caches still hold


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
    settings = config.record()
    work = Work(output, notes=output / ".progress", files=output, part=part)
    with work.held():
        if part is None:  # no other run is writing here
            remove_unfinished(output)
            remove_unfinished(work.notes)
        if manifest := _finished(output, settings):
            _end(work)
            return manifest
        work.begin(settings)
        with worker_map(num_workers) as parallel_map:
            plan = plan_corpus(config, parallel_map)
            _write_shards(config, plan, work, parallel_map)
        return _finish(config, settings, plan, work)


def shard_name(number: int, num_shards: int) -> str:
    """``shard-00000-of-00004.jsonl``."""
    return f"shard-{number:05d}-of-{num_shards:05d}.jsonl"


def _finished(output: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest if the corpus is there; one that has lost a shard is not, nor one whose manifest is damaged."""
    how = {"section": "config", "output": output, "hashed": False}
    try:
        manifest = corpus_manifest(output) if (output / MANIFEST).is_file() else None
    except DamagedManifest:
        manifest = None
    if manifest:
        manifest = finished_manifest(output / MANIFEST, "corpus", settings, **how)
    if manifest is None:
        (output / MANIFEST).unlink(missing_ok=True)
    return manifest


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


def _write_shards(config: CorpusConfig, plan: CorpusPlan, work: Work, parallel_map) -> None:
    part = work.part or Part()
    numbers = range(part.number, config.num_shards, part.count)
    total = sum(len(plan.shard(number, config.num_shards)) for number in numbers)
    with progress_bar(total, "generating", "records") as bar:
        kept = (plan.kept(plan.shard(number, config.num_shards)) for number in numbers)
        for count in parallel_map(_write_shard, repeat(config), repeat(plan), repeat(work), numbers, kept):
            bar.update(count)


def _write_shard(config: CorpusConfig, plan: CorpusPlan, work: Work, number: int, kept: list[bytes | None]) -> int:
    """Write one shard unless it is there and proven; the number of its records."""
    name = shard_name(number, config.num_shards)
    positions = plan.shard(number, config.num_shards)
    if work.proof(name):
        return len(positions)
    digest = hashlib.sha256()
    lines = shard_lines(config, plan, number, kept)
    with atomic_write(work.files / name, "wb") as handle:
        for start in range(0, len(lines), _LINES_AT_ONCE):
            block = b"\n".join([*lines[start : start + _LINES_AT_ONCE], b""])
            digest.update(block)
            handle.write(block)
    work.prove(name, {name: digest.hexdigest()})
    return len(positions)


def shard_lines(config: CorpusConfig, plan: CorpusPlan, number: int, kept: list[bytes | None]) -> list[bytes]:
    """The lines of a shard, without newlines: made task by task, which keeps the processor's caches warm, then ordered.

    ``kept`` is ``plan.kept`` of it.
    """
    positions = plan.shard(number, config.num_shards)
    encode = msgspec.json.Encoder().encode
    lines = [b""] * len(positions)
    with no_collector():
        name, task = "", None
        for (position, now, length, index), drawn in zip(plan.places(positions), kept, strict=True):
            if now != name:
                name, task = now, load_task(now)
            example = task.example(length, config.split, index, config.form, drawn)
            lines[position - positions.start] = encode(example)
    return lines


def _finish(config: CorpusConfig, settings: dict[str, Any], plan: CorpusPlan, work: Work) -> dict[str, Any] | None:
    """Write the manifest once all shards are there, whichever run that falls to; None if some are missing."""
    output = work.output
    names = [shard_name(number, config.num_shards) for number in range(config.num_shards)]

    def make(proofs: list[dict[str, Any]]) -> dict[str, Any]:
        checksums = {output / name: proof["sha256"][name] for name, proof in zip(names, proofs, strict=True)}
        sections = {"config": settings, "counts": plan.counts(), "tokens": plan.token_statistics()}
        if config.near_twins:
            sections["near_twins"] = config.near_twins
        return write_manifest(output / MANIFEST, "corpus", checksums, checksums, **sections)

    manifest = work.finish(names, make, made=lambda: read_manifest(output / MANIFEST, "corpus"))
    if manifest:
        _end(work)
    return manifest


def _end(work: Work) -> None:
    """Remove what only an unfinished corpus needs, and what killed runs have left of shards that are whole now."""
    remove_unfinished(work.output)
    work.end()
