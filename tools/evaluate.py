#!/usr/bin/env python
"""Measure a model's accuracy by task and length."""

import argparse
import json
import re
import sys
from argparse import Namespace
from pathlib import Path

from megatron_rfft.common.cli import add_task_file, make_parser, parse_lengths, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.engines import DTYPES, ENGINES
from megatron_rfft.evaluation.replicas import answer_in_replicas
from megatron_rfft.evaluation.run_folder import RESULTS
from megatron_rfft.evaluation.runner import EvaluationConfig, evaluate
from megatron_rfft.evaluation.table import format_table, warn_of
from megatron_rfft.tasks import FORMS, SPLITS, load_task_files, split_tasks


def parse_arguments() -> Namespace:
    parser = make_parser(
        "Ask a model fresh questions of each task and length (greedy decoding, strict checking) and write "
        "results.json. A killed run continues when run again; a finished one returns at once.",
        "python tools/evaluate.py --model runs/model/hf --tasks coin_flip,length_int --lengths 2-30:2 "
        "--output runs/eval",
    )
    parser.add_argument(
        "--model",
        required=True,
        help="HF folder with a tokenizer.json; for --engine openai the name of a served model, or the address of a "
        "server that has just one",
    )
    parser.add_argument(
        "--tasks", required=True, help="names, separated by commas, or all of train, test, extra or test/code"
    )
    parser.add_argument("--lengths", required=True, help="lengths such as 2-30:2 or 1-10,15")
    parser.add_argument("--output", type=Path, required=True, help="folder of this run and of no other")
    parser.add_argument("--samples", type=int, default=100, help="questions per task and length")
    parser.add_argument("--form", choices=FORMS, help="prompt form; left out: the one in the model's manifest")
    parser.add_argument(
        "--chat",
        action=argparse.BooleanOptionalAction,
        help="put prompts into the chat template (the server's for openai); left out: as the model's manifest says, "
        "for openai yes",
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="which questions to draw")
    parser.add_argument("--engine", choices=ENGINES, default="vllm", help="what generates the answers")
    parser.add_argument("--dtype", choices=DTYPES, default="auto", help="auto: float32 on a CPU, bfloat16 on a GPU")
    parser.add_argument(
        "--max-tokens", type=int, help="budget of every answer; left out: 1.5 times the true one, 24,000 for thinking"
    )
    server = parser.add_argument_group("a server (--engine openai)")
    server.add_argument("--base-url", help="its address, such as http://localhost:8000/v1")
    server.add_argument(
        "--tokenizer",
        type=Path,
        help="folder with the model's tokenizer.json: ask a vLLM server by token ids instead of text",
    )
    server.add_argument("--api-key-env", metavar="VAR", help="environment variable with its key; left out: none")
    server.add_argument("--concurrency", type=int, default=16, help="requests in flight at once")
    server.add_argument(
        "--retry-seconds", type=float, default=600.0, help="how long to ask again before a question is given up"
    )
    parser.add_argument(
        "--shard",
        type=parse_shard,
        metavar="I/N",
        help="answer part I of N only, for job arrays; when all are done, the same command without --shard joins them",
    )
    machine = parser.add_argument_group("vLLM and the GPUs of a machine")
    machine.add_argument("--tensor-parallel", type=int, default=1, help="GPUs that vLLM splits a model over")
    machine.add_argument(
        "--batch-invariant",
        action="store_true",
        help="let vLLM round alike whatever else is in flight, so that parts and restarts change no token; slower",
    )
    machine.add_argument(
        "--prefix-caching",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let vLLM compute once what prompts have in common",
    )
    machine.add_argument(
        "--replicas",
        type=int,
        default=1,
        help="processes that answer a part each, on --tensor-parallel GPUs of their own each",
    )
    add_task_file(parser)
    parser.add_argument("--json", action="store_true", help="print results.json instead of a table")
    return parser.parse_args()


def parse_shard(text: str) -> tuple[int, int]:
    """``2/8`` as (2, 8)."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no part; write for example 2/8")
    return int(found[1]), int(found[2])


def main() -> None:
    arguments = parse_arguments()
    if arguments.replicas < 1 or (arguments.replicas > 1 and arguments.shard):
        raise UserError(f"--replicas is {arguments.replicas}; give at least 1, and more only without --shard")
    load_task_files(arguments.task_file)
    config = EvaluationConfig(
        model=arguments.model,
        tasks=tuple(split_tasks(arguments.tasks)),
        lengths=tuple(parse_lengths(arguments.lengths)),
        samples=arguments.samples,
        form=arguments.form,
        chat=arguments.chat,
        split=arguments.split,
        engine=arguments.engine,
        dtype=arguments.dtype,
        tensor_parallel=arguments.tensor_parallel,
        prefix_caching=arguments.prefix_caching,
        batch_invariant=arguments.batch_invariant,
        max_tokens=arguments.max_tokens,
        shard=arguments.shard,
        base_url=arguments.base_url,
        tokenizer=arguments.tokenizer,
        api_key_env=arguments.api_key_env,
        concurrency=arguments.concurrency,
        retry_seconds=arguments.retry_seconds,
    )
    if arguments.replicas > 1 and not (arguments.output / RESULTS).is_file():
        # Of an option that is given twice, the last one holds.
        command = [sys.executable, __file__, *sys.argv[1:], "--replicas", "1"]
        answer_in_replicas(command, arguments.replicas, arguments.tensor_parallel, arguments.output)
    results = evaluate(config, arguments.output)
    if not arguments.shard and (warning := warn_of(results)):
        print(f"warning: {warning}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(results, ensure_ascii=False))
    elif arguments.shard:
        print("part {} of {}: all answers there".format(*arguments.shard))
    else:
        print(f"{format_table(results)}\nresults: {arguments.output / RESULTS}")


if __name__ == "__main__":
    run_command(main)
