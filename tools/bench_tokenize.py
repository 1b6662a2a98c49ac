#!/usr/bin/env python3
"""Benchmark of data_prep/tokenize_corpus.py: the whole command beside bare fastokens and Megatron-LM's preprocess_data.

All measure the same corpus on the same cores, one after the other. First the ids are proven: every document, and
20,000 fuzzed strings, against the library that defines the tokenizer.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import CommandFailed
from megatron_rfft.corpus import corpus_config, generate_corpus, load_preset, read_records
from megatron_rfft.data.documents import Documents
from megatron_rfft.data.engines import first_difference, load_engine
from megatron_rfft.data.sources import open_inputs
from megatron_rfft.data.verify import verify_dataset

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
    """Seconds in which two processes encode the texts with fastokens, without start, reading and writing."""
    context = multiprocessing.get_context("fork")
    barrier, halves = context.Barrier(3), [texts[::2], texts[1::2]]
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


def measure(tokenizer: Path, folder: Path, samples: int, megatron_lm: Path | None) -> dict[str, Any]:
    """All figures, in one run on one corpus of ``samples`` examples of each task and length."""
    corpus, prefix = folder / "corpus", folder / "data"
    generate_corpus(corpus_config({**load_preset("rf-pretrain"), "samples": samples}), corpus)
    records = list(read_records(corpus))
    texts = [text for record in records for text in (record["prompt"], record["response"])]
    size = sum(len(text.encode()) for text in texts)
    command = ["data_prep/tokenize_corpus.py", "--tokenizer", tokenizer, "--workers", 2]
    seconds = timed_command([*command, "--input", corpus, "--output", prefix])
    documents = Documents(prefix)
    proof = verify_dataset(prefix, open_inputs([corpus]), tokenizer, samples=len(documents))
    if proof["problems"]:
        raise CommandFailed(f"other ids than tokenizers gives: {proof['problems'][0]}")
    tokens = int(documents.lengths.sum())
    result: dict[str, Any] = {
        "corpus": {"documents": len(documents), "text_mb": round(size / 1e6, 1), "tokens": tokens},
        "proven_equal": {"documents": proof["rederived"], "fuzzed_strings": prove_fuzzed(tokenizer)},
        "whole_command": _rates(seconds, size, tokens),
        "bare_fastokens": _rates(bare(tokenizer, texts), size, tokens),
    }
    result["share_of_bare"] = _ratio(result, "bare_fastokens")
    if megatron_lm is not None:
        result["megatron_lm"] = _rates(_preprocess_data(megatron_lm, tokenizer, records, folder), size, tokens)
        result["times_megatron_lm"] = _ratio(result, "megatron_lm")
    return result


def _preprocess_data(checkout: Path, tokenizer: Path, records: list[dict], folder: Path) -> float:
    """Seconds of Megatron-LM's own tool on the same text, prompt and response as one document."""
    file = folder / "megatron.jsonl"
    with file.open("w", encoding="utf-8") as handle:
        handle.writelines(json.dumps({"text": r["prompt"] + r["response"]}) + "\n" for r in records)
    words = ["tools/preprocess_data.py", "--input", file, "--output-prefix", folder / "megatron", "--workers", 2]
    words += ["--tokenizer-type", "HuggingFaceTokenizer", "--tokenizer-model", tokenizer, "--append-eod"]
    return timed_command(words, cwd=checkout)


def _rates(seconds: float, size: int, tokens: int) -> dict[str, float]:
    return {
        "seconds": round(seconds, 2),
        "mb_per_second": round(size / seconds / 1e6, 1),
        "tokens_per_second": round(tokens / seconds),
    }


def _ratio(result: dict[str, Any], other: str) -> float:
    return round(result["whole_command"]["tokens_per_second"] / result[other]["tokens_per_second"], 2)


def main() -> None:
    parser = make_parser(__doc__, "python tools/bench_tokenize.py --tokenizer Qwen2.5-7B --output record.json")
    parser.add_argument("--tokenizer", type=Path, required=True, help="HF folder of the tokenizer")
    parser.add_argument("--samples", type=int, default=30, help="examples of each task and length of rf-pretrain")
    parser.add_argument("--megatron-lm", type=Path, help="checkout of Megatron-LM to measure beside it")
    parser.add_argument("--output", type=Path, help="write the record here as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkout = options.megatron_lm and options.megatron_lm.resolve()
        result = measure(options.tokenizer.resolve(), Path(folder), options.samples, checkout)
    words = ["python tools/bench_tokenize.py --tokenizer QWEN2.5", f"--samples {options.samples}"]
    words += ["--megatron-lm CHECKOUT"] if options.megatron_lm else []
    record = {
        "command": " ".join(words),
        "date": time.strftime("%Y-%m-%d"),
        "machine": {"cores": os.cpu_count(), "python": sys.version.split()[0]},
        **result,
    }
    text = json.dumps(record, indent=2) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
