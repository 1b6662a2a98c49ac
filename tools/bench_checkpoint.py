#!/usr/bin/env python3
"""Benchmark of checkpoints beside `cp` of the same bytes, by as many processes: the real trainer, data parallel.

Each round saves, copies and loads, one after the other. A save is timed until training may go on (blocked), and until
everything is on disk. It is compared with copies in memory and with `cp` from the page cache, with `sync`. A load
starts from files that are on disk and no longer in the page cache: every checksum, then the state. It is compared with
`cp` from there, with `sync`. Ratios are the copy's seconds to ours; 1 is as fast as `cp`. Memory is what a process has
more of at its peak than before, as a share of what it writes. Goals: blocked for less than twice the copy in memory,
0.7 of `cp`, 1.3 shares of memory. The first save of a run, which plans and takes its memory, is told apart.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from bench_convert import forget, machine

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import read_json, write_json
from megatron_rfft.corpus import CorpusConfig, generate_corpus, read_records
from megatron_rfft.diagnostics.checks.provenance import commit
from megatron_rfft.mcore import ON_GPU
from megatron_rfft.tokenization.sentencepiece_train import train_sentencepiece
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.training.checkpoint import TrainerSaver, load_checkpoint, newest_checkpoint
from megatron_rfft.training.checkpoint_files import STATE
from megatron_rfft.training.config_reader import config_from_dict
from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
from megatron_rfft.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20
_SAMPLE = 256 * MIB  # of the copy in memory


class Peak:
    """The most private memory of this process while the block runs, above what it had before; in bytes."""

    def __enter__(self) -> "Peak":
        self._before = self.bytes = _private_bytes()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.bytes = max(self.bytes, _private_bytes()) - self._before

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            self.bytes = max(self.bytes, _private_bytes())


def _private_bytes() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def make_config(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A run of one step on a small data set, of the model that is asked for."""
    cells = {"coin_flip": (1, 2, 3, 4), "length_int": (2, 3, 4)}
    generate_corpus(CorpusConfig(cells, samples=60, split="train", form="lean"), folder / "corpus")
    texts = (text for record in read_records(folder / "corpus") for text in (record["prompt"], record["response"]))
    train_sentencepiece(texts, 700, folder / "tokenizer.model")
    tokenize_corpus(folder / "corpus", folder / "tokenizer.model", folder / "data")
    heads = max(1, options.hidden_size // 64)
    return {
        "run": {"output": str(folder / "run"), "steps": 10},
        "model": {
            "num_layers": options.layers,
            "hidden_size": options.hidden_size,
            "ffn_hidden_size": 3 * options.hidden_size,
            "num_attention_heads": heads,
            "num_query_groups": heads,
        },
        "data": {"train": [str(folder / "data")], "sequence_length": 384},
        "batch": {"global_batch_size": options.processes, "micro_batch_size": 1},
        "optimizer": {"warmup_steps": 1},
    }


def measure_rank(spec_file: Path) -> None:
    """What each process of torchrun does; the first one writes what was measured beside ``spec_file``."""
    spec = read_json(spec_file)
    config = config_from_dict(spec["config"])
    dataset = config.data.open(config.run.seed)
    model = config.model.resolve(dataset.vocab_size)
    initialize_parallel(config, model)
    trainer = Trainer(config, model, dataset)
    trainer.train_step()
    folder, saver = Path(config.run.output) / "checkpoints", TrainerSaver(trainer)
    rows = [{**_save(folder, saver), **_others(trainer, folder, saver)} for _ in range(spec["rounds"] + 1)]
    if torch.distributed.get_rank() == 0:
        path = newest_path(folder)
        size = sum(file.stat().st_size for file in (path / STATE).iterdir())
        result = {"parameters": model.num_parameters(), "bytes": size, "rank_bytes": saver.host_bytes, "rounds": rows}
        write_json(spec_file.with_suffix(".result.json"), result)
    destroy_parallel()


def newest_path(folder: Path) -> Path:
    """The only checkpoint there."""
    (path,) = folder.glob("step-*")
    return path


def _slowest(**values: float) -> dict[str, float]:
    """The largest of each value over all ranks."""
    found = torch.tensor(list(values.values()), dtype=torch.float64)
    torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
    return dict(zip(values, found.tolist(), strict=True))


def _save(folder: Path, saver: TrainerSaver) -> dict[str, float]:
    torch.distributed.barrier()
    with Peak() as peak:
        started = time.perf_counter()
        save = saver.start(folder)
        blocked = time.perf_counter() - started
        save.finish()
        seconds = time.perf_counter() - started
    return _slowest(
        blocked_seconds=blocked,
        copy_seconds=_copy_seconds(saver.host_bytes),
        save_seconds=seconds,
        save_memory=peak.bytes / saver.host_bytes,
    )


def _copy_seconds(size: int) -> float:
    """Of ``size`` bytes in memory that both sides have touched before."""
    source, target = torch.ones(_SAMPLE, dtype=torch.uint8), torch.ones(_SAMPLE, dtype=torch.uint8)
    torch.distributed.barrier()  # all copy at once, as in a save
    started = time.perf_counter()
    for _ in range(4):
        target.copy_(source)
    return (time.perf_counter() - started) / 4 * size / _SAMPLE


def _others(trainer: Trainer, folder: Path, saver: TrainerSaver) -> dict[str, float]:
    """Copies by `cp`, cold and warm, and a load."""
    copies: list[Any] = [None]
    if torch.distributed.get_rank() == 0:
        path = newest_path(folder)
        forget(path)
        copies = [{"cold_cp_seconds": copy(path), "cp_seconds": copy(path)}]
        forget(path)
    torch.distributed.broadcast_object_list(copies)
    with Peak() as peak:
        started = time.perf_counter()
        path = newest_checkpoint(folder)
        verified = time.perf_counter() - started
        load_checkpoint(trainer, path, verify=False)
        seconds = time.perf_counter() - started
    loaded = _slowest(load_seconds=seconds, verify_seconds=verified, load_memory=peak.bytes / saver.host_bytes)
    return {**copies[0], **loaded}


def copy(path: Path) -> float:
    """Seconds of `cp` and `sync` of the state at ``path``, one process for each rank's files."""
    target = path.with_name("copy")
    target.mkdir()
    started = time.perf_counter()
    groups: dict[str, list[Path]] = {}
    for file in sorted((path / STATE).glob("*.distcp")):
        groups.setdefault(file.name.partition("__")[2].partition("_")[0], []).append(file)
    script = 'target=$1; shift; cp "$@" "$target" && cd "$target" && sync $(basename -a "$@")'
    processes = [subprocess.Popen(["sh", "-c", script, "sh", target, *files]) for files in groups.values()]
    if sum(process.wait() for process in processes):
        raise CommandFailed("cp failed: free some room")
    seconds = time.perf_counter() - started
    shutil.rmtree(target)
    return seconds


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Medians and ratios of all rounds but the first."""
    first, *rounds = result["rounds"]

    def ratio(ours: str, theirs: str) -> float:
        return round(statistics.median(row[theirs] / row[ours] for row in rounds), 2)

    return {
        "parameters": result["parameters"],
        "gigabytes": round(result["bytes"] / 1e9, 3),
        "gigabytes_of_the_first_rank": round(result["rank_bytes"] / 1e9, 3),
        "blocked_to_copy": round(statistics.median(row["blocked_seconds"] / row["copy_seconds"] for row in rounds), 2),
        "save_to_cp": ratio("save_seconds", "cp_seconds"),
        "load_to_cp": ratio("load_seconds", "cold_cp_seconds"),
        "memory_of_the_first_save": round(first["save_memory"], 2),
        "memory_of_later_saves": round(max(row["save_memory"] for row in rounds), 2),
        "memory_of_a_load": round(max(row["load_memory"] for row in rounds), 2),
        "first": {key: round(value, 3) for key, value in first.items()},
        "rounds": [{key: round(value, 3) for key, value in row.items()} for row in rounds],
    }


def main() -> None:
    """Measure, print or write the record."""
    parser = make_parser(__doc__, "python tools/bench_checkpoint.py --output tools/benchmarks/checkpoint.json")
    parser.add_argument("--processes", type=int, metavar="N", default=2, help="data-parallel ranks")
    parser.add_argument("--layers", type=int, metavar="N", default=6, help="layers of the model")
    parser.add_argument("--hidden-size", type=int, metavar="N", default=1024, help="width of the model")
    parser.add_argument("--rounds", type=int, metavar="N", default=3, help="repetitions after the first save")
    parser.add_argument("--folder", type=Path, help="where to put three checkpoints (default: /tmp)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record there")
    parser.add_argument("--rank", type=Path, help=argparse.SUPPRESS)  # a process that this script starts
    options = parser.parse_args()
    if options.rank:
        measure_rank(options.rank)
        return
    for name in ("processes", "layers", "hidden_size", "rounds"):
        if (value := getattr(options, name)) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {value}; give 1 or more")
    if ON_GPU:
        raise UserError("this measures processes on CPUs; tools/bench_gpu.py is for GPUs")
    before = machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        spec = Path(folder) / "spec.json"
        write_json(spec, {"config": make_config(Path(folder), options), "rounds": options.rounds})
        launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
        command = (*launcher, str(options.processes), __file__, "--rank", str(spec))
        done = subprocess.run(command, env={"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(ROOT)})
        if done.returncode:
            raise CommandFailed(f"torchrun ended with {done.returncode}; see above")
        result = read_json(spec.with_suffix(".result.json"))
    record = {
        "command": shlex.join(["python", "tools/bench_checkpoint.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": before,
        "processes": options.processes,
        **summary(result),
    }
    if options.output:
        write_json(options.output, record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    run_command(main)
