#!/usr/bin/env python3
"""Benchmark of tools/evaluate.py: its tokens per second beside a bare vllm.LLM.generate on the same prompts.

Two processes hold the same model with the same settings of vLLM. One runs whole evaluations, each into a new folder,
the other one call of ``LLM.generate`` each. They take turns, in changing order, with empty prefix caches. "answering"
is the time from the first request to the last record on disk ("cpu": of the processor), "whole" all of an evaluation
but loading the model.
"""

import argparse
import json
import os
import platform
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import date
from importlib.metadata import version
from itertools import count
from pathlib import Path
from unittest import mock

from megatron_rfft.commands.options import read_lengths
from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import write_json
from megatron_rfft.evaluation import runner
from megatron_rfft.evaluation.engines import Completion, Request, Start, VllmOptions
from megatron_rfft.evaluation.engines.vllm import VllmEngine, llm_options
from megatron_rfft.evaluation.model import open_model
from megatron_rfft.evaluation.questions import draw_cells, prepare_questions
from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.tokenizers import load_tokenizer

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.95
Round = Callable[[], dict[str, float]]


def make_rounds(side: str, options: argparse.Namespace, folder: Path) -> Round:
    """What one round of ``side`` is, "ours" or "bare"; the model is loaded."""
    lengths = read_lengths(options.tasks, options.lengths)
    config = runner.EvaluationConfig(
        options.model,
        tuple(lengths),
        lengths,
        options.samples,
        form=options.form,
    )
    form = config.form or open_model(config.model).form
    examples = [
        example
        for task in map(load_task, config.tasks)
        for part in draw_cells(task, lengths, config.samples, config.split, form).values()
        for example in part
    ]
    model, tokenizer = open_model(config.model), load_tokenizer(config.model)
    requests = [question.request for question in prepare_questions(examples, tokenizer, model.max_positions)]
    longest = max(len(request.prompt_ids) + request.max_tokens for request in requests)
    if side == "bare":
        return bare_round(Path(config.model), requests, tokenizer.stop_id, longest)
    engine = TimedEngine(Path(config.model), Start(stop_id=tokenizer.stop_id, max_length=longest))
    return our_round(config, engine, folder)


class TimedEngine(VllmEngine):
    """Times the answering: what takes the answers works between them, so that is in it."""

    def generate(self, *args, **kwargs) -> Iterator[Completion]:
        begin, cpu = time.perf_counter(), time.process_time()
        yield from super().generate(*args, **kwargs)
        self.times = {"answering": time.perf_counter() - begin, "cpu": time.process_time() - cpu}


def our_round(config: runner.EvaluationConfig, engine: TimedEngine, folder: Path) -> Round:
    """An evaluation into a folder of its own, by an engine that is there already."""
    numbers = count()

    def run() -> dict[str, float]:
        engine.reset_prefix_cache()
        begin = time.perf_counter()
        with mock.patch.object(VllmOptions, "load", return_value=engine):
            timing = runner.evaluate(config, folder / f"run-{next(numbers)}")["timing"]
        whole = time.perf_counter() - begin
        kept = {"tokens": timing["generated_tokens"], "prefix_cache_hit_rate": timing["prefix_cache_hit_rate"]}
        return {**kept, **engine.times, "whole": whole}

    return run


def bare_round(model: Path, requests: list[Request], stop_id: int, longest: int) -> Round:
    """One call of ``LLM.generate`` for all prompts, made ready before."""
    options = llm_options("auto", longest)
    from vllm import LLM, SamplingParams

    llm = LLM(str(model), **options)
    prompts = [{"prompt_token_ids": request.prompt_ids} for request in requests]
    sampling = [
        SamplingParams(
            temperature=0.0,
            max_tokens=request.max_tokens,
            stop_token_ids=[stop_id],
            ignore_eos=True,
            detokenize=False,
        )
        for request in requests
    ]

    def run() -> dict[str, float]:
        llm.reset_prefix_cache()
        begin, cpu = time.perf_counter(), time.process_time()
        outputs = llm.generate(prompts, sampling, use_tqdm=False)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
        return {"tokens": tokens, "answering": seconds, "whole": seconds, "cpu": cpu}

    return run


def serve(side: str, options: argparse.Namespace) -> None:
    """The process of one side: a line on standard input asks for a round, a line of JSON on standard output answers."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever vLLM prints
    with tempfile.TemporaryDirectory() as folder:
        run = make_rounds(side, options, Path(folder))
        print(json.dumps({"ready": side}), file=answers)
        for _ in sys.stdin:
            print(json.dumps(run()), file=answers)


class Side:
    """One of the two processes, seen from the benchmark."""

    def __init__(self, name: str, log: Path):
        self.log = log
        command = [sys.executable, __file__, *sys.argv[1:], "--side", name]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with open(log, "w") as handle:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=handle,
                text=True,
                bufsize=1,
                env=environment,
            )
        self._read()

    def _read(self) -> dict[str, float]:
        if not (line := self.process.stdout.readline()):
            raise CommandFailed(f"a side of the benchmark ended: {self.log.read_text()[-600:]}")
        return json.loads(line)

    def round(self) -> dict[str, float]:
        """Run one round there."""
        self.process.stdin.write("\n")
        return self._read()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(rounds: int) -> dict[str, list[dict[str, float]]]:
    """Rounds of both sides in turns, after one of each that is not counted."""
    found: dict[str, list] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = {name: stack.enter_context(closing(Side(name, Path(folder) / f"{name}.log"))) for name in found}
        for number in range(rounds + 1):
            for name in list(sides) if number % 2 else reversed(sides):
                result = sides[name].round()
                if number:
                    found[name].append(result)
            print(f"pair {number} of {rounds}", file=sys.stderr)
    tokens = {result["tokens"] for results in found.values() for result in results}
    if len(tokens) != 1:
        raise CommandFailed(f"the two sides generated different numbers of tokens: {sorted(tokens)}")
    return found


def compare(found: dict[str, list[dict[str, float]]], key: str) -> dict[str, float | list[float]]:
    """Tokens per second by ``key`` ("answering", "whole", "cpu"), our share of the bare one's, and its 95 % interval.

    Medians over rounds; the interval is of pairs drawn again 2,000 times.
    """
    rates = [
        tuple(result["tokens"] / result[key] for result in pair)
        for pair in zip(found["ours"], found["bare"], strict=True)
    ]
    random.seed(0)
    ratios = sorted(_ratio(random.choices(rates, k=len(rates))) for _ in range(2000))
    return {
        "ours_tokens_per_second": round(statistics.median(ours for ours, _ in rates)),
        "bare_tokens_per_second": round(statistics.median(bare for _, bare in rates)),
        "ratio": round(_ratio(rates), 3),
        "ratio_interval": [round(ratios[49], 3), round(ratios[1949], 3)],
        "pair_ratios": [round(ours / bare, 3) for ours, bare in rates],
    }


def _ratio(rates: list[tuple[float, float]]) -> float:
    return statistics.median(ours for ours, _ in rates) / statistics.median(bare for _, bare in rates)


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(
        __doc__,
        "python tools/bench_evaluate.py --model runs/quickstart/lean/hf --output tools/benchmarks/evaluate.json",
    )
    parser.add_argument("--model", type=Path, required=True, help="HF folder, for example of the quickstart")
    parser.add_argument("--tasks", default="length_int,get_digit_int", help="names, separated by commas")
    parser.add_argument("--lengths", default="2-8", help="lengths such as 2-30:2 or 1-10,15")
    parser.add_argument("--samples", type=int, default=50, help="questions per task and length")
    parser.add_argument("--form", help="prompt form; left out: the one in the model's manifest")
    parser.add_argument("--rounds", type=int, default=8, help="pairs of rounds to measure")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record there")
    parser.add_argument("--side", choices=("ours", "bare"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 2:
        raise UserError(f"--rounds is {options.rounds}; give 2 or more")
    return options


def main() -> int:
    """Measure, print or write the record; 1 if the goal is missed."""
    options = parse_arguments()
    if options.side:
        serve(options.side, options)
        return 0
    open_model(options.model)  # a wrong folder is named before two processes load it
    found = measure(options.rounds)
    answering = compare(found, "answering")
    record = {
        "command": shlex.join(["python", "tools/bench_evaluate.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        "machine": {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("vllm", "torch", "transformers")},
        "goal": f"ratio of answering at least {GOAL}",
        "goal_met": answering["ratio"] >= GOAL,
        "tokens_per_round": found["ours"][0]["tokens"],
        "prefix_cache_hit_rate": statistics.median(result["prefix_cache_hit_rate"] for result in found["ours"]),
        "answering": answering,
        "cpu": compare(found, "cpu"),
        "whole": compare(found, "whole"),
    }
    if options.output:
        write_json(options.output, record)
    print(json.dumps(record, indent=2))
    return 0 if record["goal_met"] else 1


if __name__ == "__main__":
    run_command(main)
