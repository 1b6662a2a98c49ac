#!/usr/bin/env python3
"""Benchmark of data_prep/tokenize_corpus.py: the whole command beside bare fastokens and Megatron-LM's own tools.

All measure the same corpora on the same cores, in turn; of several repetitions the fastest counts. The ids are proven
against the library that defines the tokenizer: of documents (all, or a random sample) and of 20,000 fuzzed strings.
Megatron-LM's preprocess_data.py, which takes minutes, is measured once and on the first corpus alone;
preprocess_data_fast.py needs the packages gigatoken and awkward where the checkout's Python finds them.
"""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.corpus import corpus_config, generate_corpus, load_preset, read_records
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.engines import first_difference, load_engine
from megatron_rfft.tokenization.sources import open_inputs
from megatron_rfft.tokenization.verify import verify_dataset

ROOT = Path(__file__).resolve().parents[1]
FUZZED = 20_000


def prove_fuzzed(tokenizer: Path) -> int:
    """Encode random strings with both engines; their number. Raises CommandFailed at the first difference."""
    rng = Random(0)
    alphabet = "abcxyzABC 0123456789\n\r\t'\"=[]().,:_-+*/%éüß½٣中文字한😀\u0301\u200d\ufeff"
    words = ["now, ", "while ", "<|im_end|>", "<|endoftext|>", "    ", "\n\n", "==", "it's", "don't"]
    texts = [
        "".join(rng.choice(words) if rng.random() < 0.1 else rng.choice(alphabet) for _ in range(rng.randrange(60)))
        for _ in range(FUZZED)
    ]
    fast, slow = (load_engine(name, tokenizer / "tokenizer.json")(texts) for name in ("fastokens", "tokenizers"))
    if (number := first_difference(fast, slow)) is not None:
        raise CommandFailed(f"fastokens and tokenizers differ on {texts[number]!r}; do not use fastokens here")
    return len(texts)


def timed_command(words: list[Any], cwd: Path = ROOT) -> float:
    """Wall seconds of a command that has to succeed."""
    started = time.perf_counter()
    search = os.pathsep.join(filter(None, [str(cwd), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise CommandFailed(f"{words[0]} failed: {done.stderr.strip()[-400:]}")
    return time.perf_counter() - started


def bare(tokenizer: Path, texts: list[str]) -> float:
    """Seconds in which two processes encode the texts with fastokens, half each, without start, reading and writing."""
    context = multiprocessing.get_context("fork")
    middle = len(texts) // 4 * 2  # prompts and responses alternate
    barrier, halves = context.Barrier(3), [texts[:middle], texts[middle:]]
    processes = [context.Process(target=_encode, args=(tokenizer, half, barrier)) for half in halves]
    for process in processes:
        process.start()
    barrier.wait()
    started = time.perf_counter()
    for process in processes:
        process.join()
    return time.perf_counter() - started


def _encode(tokenizer: Path, texts: list[str], barrier) -> None:
    encode = load_engine("fastokens", tokenizer / "tokenizer.json")
    encode(texts[:100])
    barrier.wait()
    for start in range(0, len(texts), 2000):
        encode(texts[start : start + 2000])


@dataclass(frozen=True)
class Bench:
    """What is measured, and how often."""

    tokenizer: Path
    megatron_lm: Path | None
    repeats: int
    proven: int | None
    """Documents whose ids are proven in each corpus; None for all."""

    def measure(self, folder: Path, samples: int, slow: bool) -> dict[str, Any]:
        """All figures on one corpus of ``samples`` examples of each task and length; ``slow`` tools as well."""
        corpus, prefix = folder / "corpus", folder / "data"
        generate_corpus(corpus_config({**load_preset("rf-pretrain"), "samples": samples}), corpus, num_workers=2)
        records = list(read_records(corpus))
        texts = [text for record in records for text in (record["prompt"], record["response"])]
        size = sum(len(text.encode()) for text in texts)
        to_time: dict[str, Callable[[], float]] = {
            "whole_command": lambda: self._whole_command(corpus, prefix),
            "bare_fastokens": lambda: bare(self.tokenizer, texts),
        }
        if self.megatron_lm is not None:
            file = folder / "megatron.jsonl"
            with file.open("w", encoding="utf-8") as handle:  # prompt and response as one document
                handle.writelines(json.dumps({"text": r["prompt"] + r["response"]}) + "\n" for r in records)
            fast = ["tools/preprocess_data_fast.py", "--use-gigatoken"]
            to_time["preprocess_data_fast"] = lambda: self._megatron_lm(fast, file)
        seconds = {name: [] for name in to_time}
        for _ in range(self.repeats):
            for name, measured in to_time.items():
                seconds[name].append(measured())
        if self.megatron_lm is not None and slow:
            seconds["preprocess_data"] = [self._megatron_lm(["tools/preprocess_data.py", "--workers", 2], file)]
        documents = Documents(prefix)
        tokens = int(documents.lengths.sum())
        num_proven = len(documents) if self.proven is None else self.proven
        proof = verify_dataset(prefix, open_inputs([corpus]), self.tokenizer, samples=num_proven)
        if proof["problems"]:
            raise CommandFailed(f"other ids than tokenizers gives: {proof['problems'][0]}")
        figures = {name: _rates(taken, size, tokens) for name, taken in seconds.items()}
        whole = min(seconds.pop("whole_command"))
        return {
            "corpus": {"documents": len(documents), "text_mb": round(size / 1e6, 1), "tokens": tokens},
            "documents_proven_equal": proof["rederived"],
            **figures,
            "times_as_fast_as": {name: round(min(taken) / whole, 2) for name, taken in seconds.items()},
        }

    def _whole_command(self, corpus: Path, prefix: Path) -> float:
        shutil.rmtree(prefix.parent / f"{prefix.name}.tokenizer", ignore_errors=True)
        for file in prefix.parent.glob(f"{prefix.name}.*"):
            file.unlink()
        words = ["data_prep/tokenize_corpus.py", "--tokenizer", self.tokenizer, "--workers", 2]
        return timed_command([*words, "--input", corpus, "--output", prefix])

    def _megatron_lm(self, tool: list[Any], file: Path) -> float:
        words = [*tool, "--input", file, "--output-prefix", file.with_suffix(""), "--append-eod"]
        words += ["--tokenizer-type", "HuggingFaceTokenizer", "--tokenizer-model", self.tokenizer]
        return timed_command(words, cwd=self.megatron_lm)


def _rates(seconds: list[float], size: int, tokens: int) -> dict[str, Any]:
    fastest = min(seconds)
    return {
        "seconds": [round(one, 2) for one in seconds],
        "mb_per_second": round(size / fastest / 1e6, 1),
        "tokens_per_second": round(tokens / fastest),
    }


def main() -> None:
    parser = make_parser(__doc__, "python tools/bench_tokenize.py --tokenizer Qwen2.5-7B --output record.json")
    add = parser.add_argument
    add("--tokenizer", type=Path, required=True, help="HF folder of the tokenizer")
    add("--samples", type=int, nargs="+", default=[30], help="examples of each task and length of rf-pretrain")
    add("--repeats", type=int, default=3, help="times that each is measured")
    add("--prove", type=int, metavar="N", help="prove the ids of N random documents of each corpus (default: of all)")
    add("--megatron-lm", type=Path, help="checkout of Megatron-LM to measure beside it")
    add("--output", type=Path, help="write the record here as well")
    options = parser.parse_args()
    checkout = options.megatron_lm and options.megatron_lm.resolve()
    bench = Bench(options.tokenizer.resolve(), checkout, options.repeats, options.prove)
    fuzzed = prove_fuzzed(bench.tokenizer)
    runs = []
    for number, samples in enumerate(options.samples):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(bench.measure(Path(folder), samples, slow=number == 0))
    words = ["python tools/bench_tokenize.py --tokenizer QWEN2.5 --samples", *map(str, options.samples)]
    words += [f"--repeats {options.repeats}"]
    words += [f"--prove {options.prove}"] if options.prove is not None else []
    words += ["--megatron-lm CHECKOUT"] if options.megatron_lm else []
    record = {
        "command": " ".join(words),
        "date": time.strftime("%Y-%m-%d"),
        "machine": {"cores": os.cpu_count(), "python": sys.version.split()[0]},
        "fuzzed_strings_proven_equal": fuzzed,
        "runs": runs,
    }
    text = json.dumps(record, indent=2) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
