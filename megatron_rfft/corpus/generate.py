"""Writing a corpus: shards that are pure functions of the settings, so that a killed run continues to the same bytes.

A shard appears under its name only when it is whole. While a run is under way, ``.progress/`` holds its settings and
the checksum of each finished shard; the manifest comes last and takes its place.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json, sha256_file, write_json
from megatron_rfft.common.manifest import read_manifest, write_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.corpus.config import CorpusConfig
from megatron_rfft.corpus.plan import Plan, plan_cell
from megatron_rfft.corpus.workers import worker_map
from megatron_rfft.tasks import load_task

MANIFEST = "manifest.json"
PROGRESS = ".progress"


def generate_corpus(config: CorpusConfig, output: Path | str, num_workers: int = 1) -> dict[str, Any]:
    """Write the corpus into the folder ``output`` and return its manifest; whole shards found there are kept.

    The bytes depend on ``config`` alone. Raises UserError if the folder holds a corpus of other settings or is in use.
    """
    output = Path(output)
    if num_workers < 1:
        raise UserError(f"the number of workers is {num_workers}; ask for at least 1")
    output.mkdir(parents=True, exist_ok=True)
    settings = config.record()
    with _locked(output):
        manifest = _open_folder(output, settings)
        if manifest is None:
            with worker_map(num_workers) as parallel_map:
                plan = _make_plan(config, parallel_map)
                shards = _write_shards(config, plan, output, parallel_map)
            counts = plan.counts(config.samples)
            manifest = write_manifest(output / MANIFEST, "corpus", shards, config=settings, counts=counts)
        shutil.rmtree(output / PROGRESS, ignore_errors=True)
    return manifest


def shard_name(number: int, num_shards: int) -> str:
    """``shard-00000-of-00004.jsonl``."""
    return f"shard-{number:05d}-of-{num_shards:05d}.jsonl"


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Hold the folder against a second run; the lock ends with the process, however that ends."""
    descriptor = os.open(output, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another run is writing {output}; wait for it, or give another --output") from None
        yield
    finally:
        os.close(descriptor)


def _open_folder(output: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest if the corpus is finished; else prepare the folder for these settings and return None."""
    progress = output / PROGRESS
    for leftover in (*output.glob(".*.tmp"), *progress.glob(".*.tmp")):  # of a killed run: we hold the lock
        leftover.unlink()
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


def _make_plan(config: CorpusConfig, parallel_map) -> Plan:
    cells = [(task, length) for task, lengths in config.lengths.items() for length in lengths]
    planned = []
    with progress_bar(len(cells), "planning", "cells") as bar:
        for cell in parallel_map(plan_cell, *zip(*cells, strict=True), repeat(config.split), repeat(config.samples)):
            planned.append(cell)
            bar.update()
    if not any(cell.indices for cell in planned):
        raise UserError(f"none of these tasks and lengths has an instance in split {config.split}; ask for longer ones")
    return Plan(planned)


def _write_shards(config: CorpusConfig, plan: Plan, output: Path, parallel_map) -> list[Path]:
    numbers = range(config.num_shards)
    paths = []
    with progress_bar(plan.num_records, "generating", "records") as bar:
        for number, path in zip(
            numbers, parallel_map(_write_shard, repeat(config), repeat(plan), repeat(output), numbers), strict=True
        ):
            paths.append(path)
            bar.update(len(plan.shard(number, config.num_shards)))
    return paths


def _write_shard(config: CorpusConfig, plan: Plan, output: Path, number: int) -> Path:
    path = output / shard_name(number, config.num_shards)
    proof = output / PROGRESS / f"{path.name}.json"
    if proof.exists() and path.exists() and read_json(proof) == {"sha256": sha256_file(path)}:
        return path
    with atomic_write(path) as handle:
        for position in plan.shard(number, config.num_shards):
            task, length, index = plan.locate(position)
            record = load_task(task).example(length, config.split, index, config.form).record()
            handle.write(json.dumps(record, ensure_ascii=False) + "\n")
    write_json(proof, {"sha256": sha256_file(path)})
    return path
