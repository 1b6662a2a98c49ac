#!/usr/bin/env python3
"""Benchmark of conversion, beside `cp` of the same bytes: a random model of Qwen2.5-7B's shape there and back.

Each round copies and imports, then copies and exports, one after the other. All of them start from files that are on
disk and no longer in the page cache, and are timed until what they write is on disk (fsync). Conversions are whole
commands: interpreter, imports, checksums of what is read and written. The ratio is the copy's seconds to the
conversion's; 1 is as fast as `cp`. Peak memory is that of the command's process. Everything is removed at the end.
"""

import json
import os
import platform
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import torch

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import read_json, write_json
from megatron_rfft.common.hashed_file import hashed_file
from megatron_rfft.conversion.parameter_mapping import hf_names, parameters
from megatron_rfft.conversion.storage.safetensors_io import (
    HFWeights,
    TensorGroup,
    plan_shards,
    shard_index,
    write_shard,
)
from megatron_rfft.conversion.storage.weight_files import INDEX
from megatron_rfft.diagnostics.checks.provenance import commit
from megatron_rfft.models.config import ModelConfig

ROOT = Path(__file__).resolve().parents[1]
SEED = 1234
MIB = 1 << 20


def make_model(config: Path, layers: int | None, folder: Path) -> tuple[int, int]:
    """Write a random bf16 model of the shape of ``config``, in ``folder``; bytes in all and of its largest tensor.

    Raises UserError where there is no room for it and two copies.
    """
    raw = read_json(config / "config.json")
    raw["num_hidden_layers"] = layers or raw["num_hidden_layers"]
    write_json(folder / "config.json", raw)
    model = ModelConfig.from_hf(folder)
    rng = np.random.default_rng(SEED)

    def group(names: list[str], shapes: tuple[tuple[int, ...], ...]) -> TensorGroup:
        def contents() -> Iterator[memoryview]:
            left = 2 * sum(torch.Size(shape).numel() for shape in shapes)
            while left:
                yield memoryview(rng.bytes(min(left, MIB)))
                left -= min(left, MIB)

        return TensorGroup(dict(zip(names, shapes, strict=True)), torch.bfloat16, contents)

    groups = [group(hf_names(mapping, layer), mapping.shapes) for mapping, layer in parameters(model)]
    size, free = sum(each.nbytes for each in groups), shutil.disk_usage(folder).free
    needed = 3 * size + (1 << 28)
    print(f"needs {needed / 1e9:.1f} GB of disk until it ends; {free / 1e9:.1f} are free", file=sys.stderr)
    if needed > free:
        raise UserError(f"{free / 1e9:.1f} GB of disk are free; free more, or give --layers or another --folder")
    shards = plan_shards(groups, 4.0)
    for name, shard in shards.items():
        with hashed_file(folder / name) as file:
            write_shard(file, shard)
    if len(shards) > 1:
        write_json(folder / INDEX, shard_index(shards))
    largest = max(2 * torch.Size(shape).numel() for each in groups for shape in each.shapes.values())
    return size, largest


def timed(*command: object) -> tuple[float, int]:
    """Run ``command`` from the checkout; its seconds and the peak memory of its process in MiB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=told
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise CommandFailed(f"{command[1]} ended with {process.returncode}: {told.read()[-300:].decode()}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024 // MIB


def forget(folder: Path) -> None:
    """Put the files in ``folder`` on disk and out of the page cache."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def copy(source: Path, target: Path) -> float:
    """Seconds of `cp` and `sync` of all files of ``source``; the copy is removed."""
    forget(source)
    started = time.perf_counter()
    timed("cp", "-r", source, target)
    timed("sync", *(path for path in target.rglob("*") if path.is_file()))
    seconds = time.perf_counter() - started
    shutil.rmtree(target)
    return seconds


def measure(config: Path, layers: int | None, rounds: int, folder: Path, workers: int | None) -> dict:
    """Both ways, interleaved with copies."""
    source, checkpoint, back = folder / "hf", folder / "checkpoint", folder / "back"
    source.mkdir()
    size, largest = make_model(config, layers, source)
    command = (sys.executable, "tools/convert.py")
    how = () if workers is None else ("--workers", workers)
    runs: dict[str, list[dict]] = {"from_hf": [], "to_hf": []}
    for _ in range(rounds):
        shutil.rmtree(checkpoint, ignore_errors=True)
        shutil.rmtree(back, ignore_errors=True)
        for verb, origin, arguments in (
            ("from_hf", source, ("from-hf", "--model", source, "--output", checkpoint)),
            ("to_hf", checkpoint, ("to-hf", "--checkpoint", checkpoint, "--output", back)),
        ):
            copied = copy(origin, folder / "copy")
            forget(origin)
            seconds, memory = timed(*command, *arguments, *how)
            runs[verb].append({"cp_seconds": copied, "seconds": seconds, "peak_rss_mib": memory})
    shutil.rmtree(checkpoint)
    _require_equal(source, back)
    return {
        "gigabytes": round(size / 1e9, 2),
        "largest_tensor_mib": largest // MIB,
        "layers": read_json(source / "config.json")["num_hidden_layers"],
        "rounds": rounds,
        **{verb: _summary(measured, size) for verb, measured in runs.items()},
    }


def _require_equal(source: Path, back: Path) -> None:
    before, after = HFWeights(source), HFWeights(back)
    for name in before.names | after.names:
        if not torch.equal(before.read(name).view(torch.int16), after.read(name).view(torch.int16)):
            raise CommandFailed(f"{name} came back as another tensor; the figures are of no use")


def _summary(measured: list[dict], size: int) -> dict:
    middle = {key: statistics.median(run[key] for run in measured) for key in measured[0]}
    return {
        "gb_per_second": round(size / 1e9 / middle["seconds"], 3),
        "cp_gb_per_second": round(size / 1e9 / middle["cp_seconds"], 3),
        "ratio_to_cp": round(statistics.median(run["cp_seconds"] / run["seconds"] for run in measured), 2),
        "peak_rss_mib": max(run["peak_rss_mib"] for run in measured),
        "runs": [{key: round(value, 2) for key, value in run.items()} for run in measured],
    }


def machine() -> dict:
    """What the figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        "memory_gib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def main() -> None:
    """Make the model, convert it both ways, print or write the record."""
    parser = make_parser(__doc__, "python tools/bench_convert.py --output tools/benchmarks/convert.json")
    parser.add_argument(
        "--config", type=Path, default=ROOT / "examples/models/qwen2.5-7b", help="folder of the config.json to shape by"
    )
    parser.add_argument("--layers", type=int, metavar="N", help="layers, instead of the config's")
    parser.add_argument("--rounds", type=int, metavar="N", default=3, help="repetitions")
    parser.add_argument("--workers", type=int, metavar="N", help="as of tools/convert.py")
    parser.add_argument("--folder", type=Path, help="where to put three times the model (default: /tmp)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record there")
    options = parser.parse_args()
    for name in ("layers", "rounds"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UserError(f"--{name} is {value}; give 1 or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave nothing behind
    before = machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = measure(options.config, options.layers, options.rounds, Path(folder), options.workers)
    record = {
        "command": shlex.join(["python", "tools/bench_convert.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": before,
        **figures,
    }
    if options.output:
        write_json(options.output, record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    run_command(main)
