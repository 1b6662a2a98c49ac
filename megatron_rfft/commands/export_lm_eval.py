"""Write questions as tasks for EleutherAI's lm-evaluation-harness."""

import json
from argparse import Namespace
from pathlib import Path

from megatron_rfft.commands.options import add_json, add_task_file, add_tasks, read_lengths, same_named
from megatron_rfft.common.cli import make_parser
from megatron_rfft.evaluation.lm_eval_tasks import LmEvalConfig, write_lm_eval_tasks
from megatron_rfft.tasks import FORMS, SPLITS, load_task_files


def parse_arguments(arguments: list[str] | None) -> Namespace:
    parser = make_parser(
        "Write a folder of lm-eval tasks (pip install -e .[lm-eval]) with the questions and the scoring of "
        "rfft evaluate: a task for each length, a group for each task, and one of all, megatron_rfft_FORM. Nothing "
        "of it needs the network. Run again, a finished folder is left as it is.",
        "rfft export-lm-eval --tasks coin_flip,length_int --lengths 2-30:2 --form rule "
        "--tokenizer runs/model/hf --output runs/lm-eval\n"
        "  lm_eval run --model hf --model_args pretrained=runs/model/hf,dtype=float32 --include_path runs/lm-eval "
        "--tasks megatron_rfft_rule",
        "rfft export-lm-eval",
    )
    add_tasks(parser)
    parser.add_argument("--form", choices=FORMS, required=True, help="prompt form, the one that the model was taught")
    parser.add_argument("--output", type=Path, required=True, help="folder of these tasks and of nothing else")
    parser.add_argument("--samples", type=int, default=100, help="questions per task and length")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which questions to draw")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        help="HF folder in whose tokens the answers' budgets are reckoned; left out: in bytes, several times as much",
    )
    parser.add_argument("--max-tokens", type=int, help="budget of every answer; left out: 1.5 times the true one")
    add_task_file(parser)
    add_json(parser, "the manifest")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    load_task_files(options.task_file)
    lengths = read_lengths(options.tasks, options.lengths)
    config = LmEvalConfig(**same_named(options, LmEvalConfig) | {"tasks": tuple(lengths), "lengths": lengths})
    manifest = write_lm_eval_tasks(config, options.output)
    if options.json:
        print(json.dumps(manifest))
        return
    for group, members in manifest["groups"].items():
        print(f"{group}: {sum(members.values())} questions in {len(members)} tasks")
    print(f"all: lm_eval run --include_path {options.output} --tasks megatron_rfft_{config.form}")
