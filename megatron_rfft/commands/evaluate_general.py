"""Measure general ability with tasks of lm-evaluation-harness."""

import json
from argparse import ArgumentTypeError, BooleanOptionalAction, Namespace
from pathlib import Path

from megatron_rfft.commands.options import add_engine, add_json, chosen_engine, same_named
from megatron_rfft.common.cli import make_parser
from megatron_rfft.evaluation.general import ENGINES, GeneralConfig, evaluate_general, format_general, load_general
from megatron_rfft.evaluation.run_folder import RESULTS


def parse_arguments(arguments: list[str] | None) -> Namespace:
    parser = make_parser(
        "Ask a model tasks of lm-evaluation-harness (pip install -e .[lm-eval]) and write results.json. A killed run "
        "goes on with the tasks that are missing; a finished one returns at once. lm-eval loads its questions from the "
        "Hugging Face hub, or from the cache of an earlier run (HF_HOME); tasks in --include-path may bring theirs. "
        "--before compares with an earlier run, such as that of the model before training.",
        "rfft evaluate-general --model models/Qwen2.5-7B-Instruct --tasks gsm8k,arc_challenge "
        "--output runs/general/before\n"
        "  rfft evaluate-general --model runs/model/hf --tasks gsm8k,arc_challenge "
        "--output runs/general/after --before runs/general/before",
        "rfft evaluate-general",
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="HF folder with a tokenizer.json")
    add("--tasks", type=_names, required=True, help="tasks or groups of lm-eval, separated by commas")
    add("--output", type=Path, required=True, help="folder of this run and of no other")
    add("--include-path", type=Path, metavar="FOLDER", help="folder with tasks of your own")
    add_engine(parser, ENGINES)
    add(
        "--chat",
        action=BooleanOptionalAction,
        help="put questions into the chat template; left out: if the tokenizer has one",
    )
    add("--fewshot", type=int, metavar="N", help="solved examples before each question; left out: as each task says")
    add("--limit", type=int, metavar="N", help="ask the first N questions of each task; left out: all")
    add("--tensor-parallel", type=int, metavar="N", default=1, help="GPUs that vLLM splits a model over")
    add("--batch-size", type=int, metavar="N", default=16, help="questions at a time with --engine hf")
    add("--before", type=Path, metavar="FOLDER", help="a finished run of this command to compare with")
    add_json(parser, "results.json")
    return parser.parse_args(arguments)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if len(set(names)) < len(names):
        raise ArgumentTypeError(f"{text!r} names a task twice; name each once")
    return names


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    runs = {"before": load_general(options.before)} if options.before else {}
    options.engine = chosen_engine(options.engine, needs_vllm=options.tensor_parallel > 1)
    config = GeneralConfig(**same_named(options, GeneralConfig))
    results = evaluate_general(config, options.output)
    if options.json:
        print(json.dumps(results, ensure_ascii=False))
        return
    runs["after" if runs else "score"] = results
    print(f"{format_general(runs)}\nresults: {options.output / RESULTS}")
