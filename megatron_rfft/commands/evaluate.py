"""Measure a model's accuracy by task and length."""

import json
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import fields
from pathlib import Path
from typing import get_args

from megatron_rfft.commands.options import (
    add_engine,
    add_json,
    add_shard,
    add_task_file,
    add_tasks,
    chosen_engine,
    read_lengths,
    read_shard,
    same_named,
)
from megatron_rfft.common.cli import make_parser
from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.engines import DTYPES, ENGINES, EngineOptions, VllmOptions, engine_options
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
        answer_in_replicas(command, options.replicas, config.engine.gpus, options.output)
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
    add_engine(parser, ENGINES)
    add("--dtype", choices=DTYPES, default="auto", help="number format; auto: fp32 on a CPU, bf16 on a GPU")
    add("--max-tokens", type=int, help="budget of every answer; left out: 1.5 times the true one, 24,000 for thinking")
    add_shard(parser, "answer part I of N; when all are finished, the same command without --shard joins them")
    add_task_file(parser)
    add_json(parser, "results.json")
    add(
        "--replicas",
        type=int,
        default=1,
        help="processes of this machine that answer a part each, on GPUs of their own (--tensor-parallel many each)",
    )
    _add_engine_options(parser)
    return parser


def _add_engine_options(parser: ArgumentParser) -> None:
    """A group for each engine that has options; one that is not given is None."""
    for kind in ENGINES.values():
        group = parser.add_argument_group(kind.title) if fields(kind) else None
        for each in fields(kind):
            name, text = f"--{each.name.replace('_', '-')}", each.metadata["help"]
            if each.type is bool:
                switch = BooleanOptionalAction if each.default else "store_true"
                group.add_argument(name, action=switch, default=None, help=f"{text}{' (default: on)' * each.default}")
                continue
            default = "" if each.default is None else f" (default: {each.default})"
            value = {"type": next(iter(get_args(each.type)), each.type), "metavar": each.metadata["metavar"]}
            group.add_argument(name, help=f"{text}{default}", **value)


def _engine(options: Namespace) -> EngineOptions:
    names = {each.name for kind in ENGINES.values() for each in fields(kind)}
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    needs_vllm = not given.keys().isdisjoint(each.name for each in fields(VllmOptions))
    return engine_options(chosen_engine(options.engine, needs_vllm), given)


def _config(options: Namespace) -> EvaluationConfig:
    lengths = read_lengths(options.tasks, options.lengths)
    read = {
        "tasks": tuple(lengths),
        "lengths": lengths,
        "engine": _engine(options),
        "shard": read_shard(options.shard),
    }
    return EvaluationConfig(**same_named(options, EvaluationConfig) | read)
