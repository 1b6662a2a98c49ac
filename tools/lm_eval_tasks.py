#!/usr/bin/env python
"""Write questions as tasks for EleutherAI's lm-evaluation-harness."""

import json
from argparse import Namespace
from pathlib import Path

from megatron_rfft.common.cli import add_task_file, make_parser, parse_lengths, run_command
from megatron_rfft.evaluation.lm_eval_tasks import LmEvalConfig, write_lm_eval_tasks
from megatron_rfft.tasks import FORMS, SPLITS, load_task_files, split_tasks


def parse_arguments() -> Namespace:
    parser = make_parser(
        "Write a folder of lm-eval tasks (pip install -e .[lm-eval]) with the questions and the scoring of "
        "tools/evaluate.py: a task for each length, a group for each task, and one of all, megatron_rfft_FORM. Nothing "
        "of it needs the network. Run again, a finished folder is left as it is.",
        "python tools/lm_eval_tasks.py --tasks coin_flip,length_int --lengths 2-30:2 --form rule "
        "--tokenizer runs/model/hf --output runs/lm-eval\n"
        "  lm_eval run --model hf --model_args pretrained=runs/model/hf,dtype=float32 --include_path runs/lm-eval "
        "--tasks megatron_rfft_rule",
    )
    parser.add_argument(
        "--tasks", required=True, help="names, separated by commas, or all of train, test, extra or test/code"
    )
    parser.add_argument("--lengths", required=True, help="lengths such as 2-30:2 or 1-10,15")
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
    parser.add_argument("--json", action="store_true", help="print the manifest instead of the groups")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    load_task_files(arguments.task_file)
    config = LmEvalConfig(
        tasks=tuple(split_tasks(arguments.tasks)),
        lengths=tuple(parse_lengths(arguments.lengths)),
        form=arguments.form,
        samples=arguments.samples,
        split=arguments.split,
        tokenizer=arguments.tokenizer,
        max_tokens=arguments.max_tokens,
    )
    manifest = write_lm_eval_tasks(config, arguments.output)
    if arguments.json:
        print(json.dumps(manifest))
        return
    for group, members in manifest["groups"].items():
        print(f"{group}: {sum(members.values())} questions in {len(members)} tasks")
    print(f"all: lm_eval run --include_path {arguments.output} --tasks megatron_rfft_{config.form}")


if __name__ == "__main__":
    run_command(main)
