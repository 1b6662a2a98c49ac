"""Check tasks of your own before they are used: rule against reference, traces, sampler, wordings, guessable answers.

Every command that takes --task-file looks at a few instances. This one looks at many of each length, and reads all
traces in every style again. Exits with 2 at the first fault; notes are not faults.
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import make_parser, parse_lengths
from megatron_rfft.corpus.check_task import check_task
from megatron_rfft.tasks import load_task, load_task_files, own_task_files

EXAMPLE = "rfft check-task examples/own_task/count_runs.py --lengths 1-20 --samples 500"
_ROWS = 8  # of the table of lengths


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    load_task_files(options.task_file)
    lengths = parse_lengths(options.lengths) if options.lengths else None
    results = [check_task(load_task(Path(file).stem), lengths, options.samples) for file in own_task_files()]
    if options.json:
        print(json.dumps(results))
        return
    for result in results:
        _print(result, options.samples)


def _parser() -> ArgumentParser:
    parser = make_parser(__doc__, EXAMPLE, "rfft check-task")
    parser.add_argument("task_file", nargs="+", type=Path, metavar="FILE", help="a task's file, or a folder of them")
    parser.add_argument("--lengths", help="lengths to look at: 1-10, 2-30:2 or 1-5,10 (all valid ones)")
    parser.add_argument("--samples", type=int, metavar="N", default=200, help="instances of each length")
    add_json(parser)
    return parser


def _print(result: dict[str, Any], samples: int) -> None:
    rows = result["lengths"]
    print(f"{result['task']}: sound at {len(rows)} lengths; of {samples} instances drawn of each:")
    print(f"{'length':>8} {'distinct':>9} {'most frequent answer':>22} {'tokens of the longest trace':>29}")
    step = -(-len(rows) // _ROWS)
    for row in [*rows[:-1:step], rows[-1]]:
        answer = f"{row['most_frequent']:.12} {row['share']:.0%}"
        print(f"{row['length']:>8} {row['distinct']:>9} {answer:>22} {row['most_tokens']:>29}")
    for note in result["notes"]:
        print(f"note: {note}")
