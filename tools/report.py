#!/usr/bin/env python
"""Compare evaluations in one page."""

import json
from argparse import Namespace
from pathlib import Path

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.report import load_run, write_report


def parse_arguments() -> Namespace:
    parser = make_parser(
        "Write report.html (one self-contained page), the figures as PNG and SVG, and the numbers as results.json, "
        "results.csv and report.md.",
        'python tools/report.py --run "follows the rule=runs/rule/eval" --run "answers directly=runs/direct/eval" '
        "--output runs/report",
    )
    parser.add_argument(
        "--run",
        action="append",
        required=True,
        metavar="NAME=DIR[,DIR...]",
        help="a finished evaluation under a name, or several of one method on a task each; repeatable",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the report")
    parser.add_argument("--title", default="Accuracy against length", help="heading of the page and the plots")
    parser.add_argument("--json", action="store_true", help="print the merged results instead of the paths")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    runs = []
    for text in arguments.run:
        name, separator, folders = text.partition("=")
        if not (separator and name and folders):
            raise UserError(f'--run {text!r} is not NAME=DIR; write for example --run "follows the rule=runs/eval"')
        runs.append(load_run(name, *folders.split(",")))
    report = write_report(runs, arguments.output, arguments.title)
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        print("\n".join(str(arguments.output / name) for name in report["files"]))


if __name__ == "__main__":
    run_command(main)
