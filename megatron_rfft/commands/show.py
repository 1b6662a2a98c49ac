"""Look inside a tokenized data set: documents with their loss span, tokens, statistics, packing."""

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import make_parser, parse_lengths
from megatron_rfft.common.errors import UserError
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.inspection import (
    ShownDocument,
    packing_summary,
    select_documents,
    show_document,
    statistics,
    summary,
)
from megatron_rfft.tokenization.show_page import write_show_page
from megatron_rfft.tokenization.tokenizers import load_tokenizer

_GREEN, _DIM, _PLAIN = "\x1b[32m", "\x1b[2m", "\x1b[0m"
_OPEN, _CLOSE = "⟦", "⟧"


def main(arguments: list[str] | None = None) -> None:
    """Parse the options and show."""
    options = _options(arguments)
    documents = Documents(options.input)
    result = {"input": str(options.input), **summary(documents)}
    if options.statistics or options.html:
        result["statistics"] = statistics(documents)
    if options.sequence_length is not None:
        result["packing"] = packing_summary(documents, options.sequence_length, options.seed)
    task, lengths = _task_and_lengths(options)
    indices = select_documents(documents, task, lengths, options.index, options.count)
    tokenizer = load_tokenizer(documents.paths.tokenizer)
    shown = [show_document(documents, tokenizer, index) for index in indices]
    if options.html:
        write_show_page(options.html, documents, tokenizer, result, shown, options.seed)
        if not options.json:
            print(options.html)
            return
    if options.json:
        print(json.dumps({**result, "shown": [dataclasses.asdict(document) for document in shown]}))
        return
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a sign shows its code
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    _print_result(result)
    for document in shown:
        _print_document(document, coloured)
        if options.tokens:
            _print_tokens(document, tokenizer)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = make_parser(
        f"{__doc__} The loss span (what the model learns to write) is green on a terminal and stands between "
        f"{_OPEN} and {_CLOSE} elsewhere; the stop token after it belongs to the loss too.",
        "rfft show --input runs/rule --task coin_flip:5-8 --count 4 --tokens\n"
        "  rfft show --input runs/rule --count 0 --statistics --sequence-length 8192\n"
        "  rfft show --input runs/rule --count 3 --sequence-length 8192 --html runs/rule.html",
        "rfft show",
    )
    parser.add_argument("--input", type=Path, metavar="PREFIX", required=True, help="data set (rfft tokenize)")
    parser.add_argument("--index", type=_indices, metavar="N,N", help="show these documents, counted from 0")
    parser.add_argument("--task", metavar="NAME[:LENGTHS]", help="show documents of this task, such as coin_flip:1-4")
    parser.add_argument("--length", type=int, metavar="N", help="show documents of this problem length, of any task")
    parser.add_argument("--count", type=int, metavar="N", default=1, help="documents to show, where --index is not set")
    parser.add_argument("--tokens", action="store_true", help="also list each token with its id")
    parser.add_argument("--statistics", action="store_true", help="count documents and tokens by task and length")
    parser.add_argument(
        "--sequence-length", type=int, metavar="N", help="pack into sequences of N tokens, say how full"
    )
    parser.add_argument("--seed", type=int, metavar="N", default=1234, help="order of the packing (run.seed)")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="PAGE",
        help="write it all as one page instead: coloured tokens, lengths, tasks, and with --sequence-length packing",
    )
    add_json(parser)
    options = parser.parse_args(arguments)
    for name, least in (("count", 0), ("sequence_length", 1), ("seed", 0)):
        if (value := getattr(options, name)) is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} is {value}; give {least} or more")
    return options


def _task_and_lengths(options: argparse.Namespace) -> tuple[str | None, list[int] | None]:
    """What the documents to show have; None for any."""
    name, _, own = (options.task or "").partition(":")
    if own and options.length is not None:
        raise UserError(f"--task {options.task} has lengths; leave out --length")
    given = [options.length] if options.length is not None else None
    return name or None, parse_lengths(own) if own else given


def _indices(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} are not numbers; write for example 0,17") from error


def _print_result(result: dict) -> None:
    rows, packing = result.get("statistics"), result.get("packing")
    totals = {key: value for key, value in result.items() if key not in ("input", "statistics", "packing")}
    print(f"{result['input']}: " + ", ".join(f"{key} {_number(value)}" for key, value in totals.items()))
    if rows:
        width = max(len("task"), *(len(row["task"]) for row in rows))
        columns = [key for key in rows[0] if key != "task"]
        print(f"\n{'task':{width}}" + "".join(f"{column:>15}" for column in columns))
        for row in rows:
            print(f"{row['task']:{width}}" + "".join(f"{row[column]:>15,}" for column in columns))
    if packing:
        several = packing["documents_per_sequence"]
        print(
            f"\npacked at {packing['sequence_length']:,} tokens: {packing['sequences']:,} sequences, "
            f"{100 * packing['fill']:.2f} % full, {several['mean']} documents a sequence "
            f"({several['least']} to {several['most']})"
        )


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _print_document(document: ShownDocument, coloured: bool) -> None:
    targets = len(document.tokens) - document.response_start
    print(
        f"\n--- document {document.index}: {document.task}, length {document.length}, {len(document.tokens):,} tokens, "
        f"loss on {targets:,}"
    )
    if coloured:
        print(f"{_DIM}{document.prompt}{_PLAIN}{_GREEN}{document.response}{_PLAIN}")
    else:
        print(f"{document.prompt}{_OPEN}{document.response}{_CLOSE}")


def _print_tokens(document: ShownDocument, tokenizer) -> None:
    print(f"\n{'position':>8} {'id':>7} loss text")
    for position, token in enumerate(document.tokens):
        mark = "*" if position >= document.response_start else " "
        print(f"{position:>8} {token:>7}  {mark}   {tokenizer.decode([token])!r}")
