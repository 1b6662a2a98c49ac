"""Measure a model's accuracy by task and length."""

import json
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from pathlib import Path

from megatron_rfft.commands.options import add_json, add_shard, add_task_file, add_tasks, read_shard, read_tasks
from megatron_rfft.common.cli import make_parser
from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.engines import DTYPES, ENGINES
from megatron_rfft.evaluation.replicas import answer_in_replicas
from megatron_rfft.evaluation.run_folder import RESULTS
from megatron_rfft.evaluation.runner import EvaluationConfig, evaluate
from megatron_rfft.evaluation.table import format_table, warn_of
from megatron_rfft.tasks import FORMS, SPLITS, load_task_files

DESCRIPTION = """\
Ask a model fresh questions of each task and length (greedy decoding, strict checking) and write results.json. A killed
run continues when it is run again; a finished one returns at once."""
EXAMPLE = (
    "rfft evaluate --model runs/model/hf --tasks coin_flip:2-30:2,length_int:1-16 --output runs/eval\n"
    "  rfft evaluate --model NAME --engine openai --base-url http://HOST:8000/v1 --tasks held-out --lengths 2-30:2 "
    "--output runs/eval"
)


def main(arguments: list[str] | None = None) -> None:
    """Parse the options, ask, and print the results."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(words)
    if options.replicas < 1 or (options.replicas > 1 and options.shard):
        raise UserError(f"--replicas is {options.replicas}; give at least 1, and more only without --shard")
    load_task_files(options.task_file)
    config = _config(options)
    if options.replicas > 1 and not (options.output / RESULTS).is_file():
        # Of an option that is given twice, the last one holds.
        command = [sys.executable, "-m", "megatron_rfft", "evaluate", *words, "--replicas", "1"]
        answer_in_replicas(command, options.replicas, options.tensor_parallel, options.output)
    results = evaluate(config, options.output)
    if not config.shard and (warning := warn_of(results)):
        print(f"warning: {warning}", file=sys.stderr)
    if options.json:
        print(json.dumps(results, ensure_ascii=False))
    elif config.shard:
        print(f"part {options.shard}: all answers there")
    else:
        print(f"{format_table(results)}\nresults: {options.output / RESULTS}")


def _parser() -> ArgumentParser:
    parser = make_parser(DESCRIPTION, EXAMPLE, "rfft evaluate")
    add = parser.add_argument
    add(
        "--model",
        required=True,
        help="HF folder with a tokenizer.json; for --engine openai the name of a served model, or the address of a "
        "server that has just one",
    )
    add_tasks(parser)
    add("--output", type=Path, metavar="FOLDER", required=True, help="folder of this run and of no other")
    add("--samples", type=int, default=100, help="questions per task and length")
    add("--form", choices=FORMS, help="prompt form; left out: the one in the model's manifest")
    add(
        "--chat",
        action=BooleanOptionalAction,
        help="put prompts into the chat template (the server's for openai); left out: as the model's manifest says, "
        "for openai yes",
    )
    add("--split", choices=SPLITS, default="test", help="which questions to draw")
    add("--engine", choices=ENGINES, default="vllm", help="what generates the answers")
    add("--dtype", choices=DTYPES, default="auto", help="number format; auto: fp32 on a CPU, bf16 on a GPU")
    add("--max-tokens", type=int, help="budget of every answer; left out: 1.5 times the true one, 24,000 for thinking")
    add_shard(parser, "answer part I of N; when all are finished, the same command without --shard joins them")
    add_task_file(parser)
    add_json(parser, "results.json")
    _add_server(parser)
    _add_gpus(parser)
    return parser


def _add_server(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("a server (--engine openai)").add_argument
    add("--base-url", metavar="URL", help="its address, such as http://localhost:8000/v1")
    add(
        "--tokenizer",
        type=Path,
        help="folder with the model's tokenizer.json: ask a vLLM server by token ids instead of text",
    )
    add("--api-key-env", metavar="VAR", help="environment variable with its key; left out: none")
    add("--concurrency", type=int, default=16, help="requests in flight at once")
    add("--retry-seconds", type=float, default=600.0, help="how long to ask again before a question is given up")


def _add_gpus(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("vLLM and the GPUs of a machine").add_argument
    add("--tensor-parallel", type=int, default=1, help="GPUs that vLLM splits a model over")
    add(
        "--batch-invariant",
        action="store_true",
        help="let vLLM round alike whatever else is in flight, so that parts and restarts change no token; slower",
    )
    add(
        "--prefix-caching",
        action=BooleanOptionalAction,
        default=True,
        help="let vLLM compute once what prompts have in common",
    )
    add(
        "--replicas",
        type=int,
        default=1,
        help="processes that answer a part each, on --tensor-parallel GPUs of their own each",
    )


def _config(options: Namespace) -> EvaluationConfig:
    lengths = read_tasks(options.tasks, options.lengths)
    same = ("model", "samples", "form", "chat", "split", "engine", "dtype", "tensor_parallel", "prefix_caching")
    same += ("batch_invariant", "max_tokens", "base_url", "tokenizer", "api_key_env", "concurrency", "retry_seconds")
    settings = {name: getattr(options, name) for name in same}
    return EvaluationConfig(tasks=tuple(lengths), lengths=lengths, shard=read_shard(options.shard), **settings)
