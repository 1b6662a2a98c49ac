#!/usr/bin/env python3
"""Benchmark of the training data's way to the model: packing time and fill, batches a second, and peak memory.

Documents are those of the rf-pretrain preset (few of each task and length, made and tokenized here, or --input). Epochs
of 300,000 and a million documents have lengths drawn from these (packing), or are the same data set opened many times
(loader: a full index, while tokens come from a file that fits the page cache). Each figure is of one fresh process.
"""

import json
import multiprocessing
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import write_json
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.data.documents import Documents
from megatron_rfft.data.packing import pack, shuffled_order

ROOT = Path(__file__).resolve().parents[1]
SEED = 1234
MIB = 1 << 20


def measure_packing(prefix: Path, sequence_length: int, num_documents: int) -> dict:
    """Pack ``num_documents`` whose lengths are drawn from the data set's (those that fit): seconds, fill, memory."""
    lengths = Documents(prefix).lengths
    lengths = np.random.default_rng(SEED).choice(lengths[lengths <= sequence_length], num_documents)
    started = time.perf_counter()
    packing = pack(shuffled_order(num_documents, SEED, 0), lengths, sequence_length)
    seconds = time.perf_counter() - started
    return {
        "sequence_length": sequence_length,
        "documents": num_documents,
        "mean_document_tokens": round(float(lengths.mean())),
        "sequences": len(packing),
        "fill": round(packing.fill(lengths, sequence_length), 4),
        "seconds": round(seconds, 2),
        "peak_rss_mib": memory_mib("VmHWM"),
    }


def measure_loader(prefix: Path, sequence_length: int, num_documents: int, num_sequences: int) -> dict:
    """Open the data set so many times that an epoch has ``num_documents`` at least; read ``num_sequences`` packed
    sequences, one a batch. The peak memory is that of opening, packing and the first batch.
    """
    started = time.perf_counter()
    times = -(-num_documents // len(Documents(prefix)))
    dataset = PackedDataset([prefix] * times, sequence_length, SEED)  # an index of that many documents, few tokens
    sequences = dataset.epoch_length
    first_batch = dataset.batch([0])
    opened, opened_rss = time.perf_counter(), memory_mib("VmHWM")
    targets = sum(float(dataset.batch([sequence]).loss_mask.sum()) for sequence in range(num_sequences))
    seconds = time.perf_counter() - opened
    assert len(first_batch.tokens) == sequence_length
    packing = dataset.packing(0)
    return {
        "sequence_length": sequence_length,
        "documents_per_epoch": len(packing.documents),
        "sequences_per_epoch": sequences,
        "fill": round(packing.fill(dataset.lengths, sequence_length), 4),
        "seconds_to_first_batch": round(opened - started, 2),
        "sequences_read": num_sequences,
        "tokens_per_second": round(num_sequences * sequence_length / seconds),
        "target_tokens_per_second": round(targets / seconds),
        "peak_rss_mib": opened_rss,
        "anonymous_rss_after_reading_mib": memory_mib("RssAnon"),
        "mapped_file_rss_after_reading_mib": memory_mib("RssFile"),
    }


def memory_mib(key: str) -> int:
    """Memory of this process: VmHWM (peak so far), RssAnon (its own), RssFile (pages of mapped files, which the kernel
    takes back when it needs them; pages mapped by several openings of one data set count several times).
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 // MIB
    raise CommandFailed(f"/proc/self/status has no {key}; measure on Linux")


def make_data(folder: Path, samples: int, sequence_length: int) -> tuple[Path, Path]:
    """Write rf-pretrain with ``samples`` a cell; the data sets of all documents, and of those that fit a sequence."""
    every, fitting, tokenizer = folder / "every", folder / "fitting", folder / "tokenizer.model"
    preset = ("data_prep/generate.py", "--preset", "rf-pretrain", "--samples", samples)
    _run(*preset, "--output", folder / "corpus")
    # The limit is on estimated tokens: a margin keeps the tokenizer's below it.
    _run(*preset, "--max-tokens", sequence_length * 3 // 4, "--output", folder / "short")
    train = ("data_prep/train_tokenizer.py", "--vocab-size", 8000, "--max-records", 1500)
    _run(*train, "--input", folder / "corpus", "--output", tokenizer)
    for corpus, prefix in (("corpus", every), ("short", fitting)):
        _run("data_prep/tokenize_corpus.py", "--input", folder / corpus, "--tokenizer", tokenizer, "--output", prefix)
    return every, fitting


def _run(*arguments: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise CommandFailed(f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def _in_fresh_process(function, *arguments):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure(every: Path, fitting: Path, options) -> dict:
    """All figures, each from a process of its own."""
    epochs = [int(number) for number in options.documents]
    lengths = sorted({options.sequence_length, 8192, 16384})
    return {
        "packing": [
            _in_fresh_process(measure_packing, every, length, number) for number in epochs for length in lengths
        ],
        "loader": [
            _in_fresh_process(measure_loader, fitting, options.sequence_length, number, options.sequences)
            for number in epochs
        ],
    }


def machine() -> dict:
    """What the figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def main() -> None:
    """Make the data where none is given, measure, print or write the record."""
    parser = make_parser(__doc__, "python tools/bench_loader.py --output tools/benchmarks/loader.json")
    parser.add_argument("--input", type=Path, metavar="PREFIX", help="data set to measure on, instead of making one")
    parser.add_argument("--samples", type=int, metavar="N", default=6, help="examples of each task and length to make")
    parser.add_argument("--sequence-length", type=int, metavar="N", default=4096, help="tokens of the batches read")
    parser.add_argument("--sequences", type=int, metavar="N", default=5000, help="packed sequences to read")
    parser.add_argument(
        "--documents", type=int, nargs="+", metavar="N", default=[300_000, 1_000_000], help="documents an epoch"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record there")
    options = parser.parse_args()
    for name in ("samples", "sequence_length", "sequences"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(options, name)}; give 1 or more")
    if min(options.documents) < 1:
        raise UserError(f"--documents is {min(options.documents)}; give 1 or more")
    with tempfile.TemporaryDirectory() as folder:
        data = (options.input, options.input)
        if options.input is None:
            data = make_data(Path(folder), options.samples, options.sequence_length)
        figures = measure(*data, options)
    command = shlex.join(["python", "tools/bench_loader.py", *sys.argv[1:]])
    record = {"command": command, "date": date.today().isoformat(), "machine": machine(), **figures}
    if options.output:
        write_json(options.output, record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    run_command(main)
