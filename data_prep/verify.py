#!/usr/bin/env python3
"""Prove a corpus: checksums, counts, and a random sample of records made again from their task, length and index."""

import json
from pathlib import Path

from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, make_parser, run_command
from megatron_rfft.corpus.verify import verify_corpus
from megatron_rfft.tasks import load_task_file

EXAMPLE = "data_prep/verify.py --input runs/corpus --samples 5000"


def main() -> int:
    parser = make_parser(f"{__doc__} Exits with 1 if anything is wrong.", EXAMPLE)
    parser.add_argument("--input", type=Path, metavar="FOLDER", required=True, help="corpus (data_prep/generate.py)")
    parser.add_argument("--samples", type=int, metavar="N", default=1000, help="records to make again")
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="chooses these records")
    parser.add_argument("--task-file", type=Path, metavar="FILE", action="append", default=[], help="own task in there")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    for file in options.task_file:
        load_task_file(file)
    result = verify_corpus(options.input, options.samples, options.seed)
    problems = result["problems"]
    if options.json:
        print(json.dumps({"input": str(options.input), **result}))
    else:
        for problem in problems:
            print(problem)
        if not problems:
            print(f"sound: {result['records']} records, {result['rederived']} of them made again: {options.input}")
    return EXIT_FAILED if problems else EXIT_OK


if __name__ == "__main__":
    run_command(main)
