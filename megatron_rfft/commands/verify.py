"""Prove a corpus or a data set: checksums, counts, structure, and a random sample of it made again."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from megatron_rfft.commands.options import add_json, add_task_file
from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, make_parser
from megatron_rfft.corpus import corpus_config, load_preset
from megatron_rfft.corpus.verify import verify_corpus
from megatron_rfft.tasks import load_task_files
from megatron_rfft.tokenization.sources import open_inputs, open_preset
from megatron_rfft.tokenization.verify import verify_dataset

EXAMPLE = (
    "rfft verify --input runs/corpus --samples 5000\n"
    "  rfft verify --input runs/rule --corpus runs/corpus --tokenizer runs/tokenizer.model"
)


def main(arguments: list[str] | None = None) -> int:
    parser = make_parser(
        f"{__doc__} A corpus' records are made again from their task, length and index, a data set's documents are "
        "tokenized again from --corpus or --preset. Exits with 1 if anything is wrong.",
        EXAMPLE,
        "rfft verify",
    )
    add = parser.add_argument
    add("--input", type=Path, required=True, metavar="PATH", help="corpus folder, or prefix of a data set")
    add("--corpus", nargs="+", metavar="PATH", help="what the data set was made from, to tokenize documents again")
    add("--preset", metavar="NAME", help="or the preset that it was made from")
    add("--tokenizer", type=Path, metavar="PATH", help="the tokenizer that it was made with")
    add("--samples", type=int, metavar="N", default=1000, help="records or documents to make again")
    add("--seed", type=int, metavar="N", default=0, help="chooses these")
    add_task_file(parser, "in there")
    add_json(parser)
    options = parser.parse_args(arguments)
    load_task_files(options.task_file)
    result, sound = _verify(options)
    problems = result["problems"]
    if options.json:
        print(json.dumps({"input": str(options.input), **result}))
    else:
        print("\n".join(problems) if problems else sound)
    return EXIT_FAILED if problems else EXIT_OK


def _verify(options: Namespace) -> tuple[dict[str, Any], str]:
    """The result, and what to print if nothing is wrong."""
    if options.input.is_dir():
        result = verify_corpus(options.input, options.samples, options.seed)
        return result, f"sound: {result['records']} records, {result['rederived']} of them made again: {options.input}"
    source = None
    if options.corpus:
        source = open_inputs(options.corpus)
    elif options.preset:
        source = open_preset(corpus_config(load_preset(options.preset)))
    result = verify_dataset(options.input, source, options.tokenizer, options.samples, options.seed)
    again = f"{result['rederived']} of them tokenized again"
    return result, f"sound: {result['documents']} documents, {again}: {options.input}"
