#!/usr/bin/env python3
"""Tokenize a corpus into a Megatron indexed binary with loss boundaries."""

import json
from pathlib import Path

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.data.documents import tokenize_corpus


def main() -> None:
    """Parse the options and tokenize."""
    parser = make_parser(
        "Tokenize a corpus (data_prep/generate.py) into PREFIX.bin/.idx with the loss boundary of each document "
        "(PREFIX.docs.npy), a manifest and the tokenizer. A finished data set of the same inputs is left as it is.",
        "data_prep/tokenize_corpus.py --input runs/corpus-rule --tokenizer runs/tokenizer.model --output runs/rule",
    )
    parser.add_argument("--input", type=Path, required=True, help="corpus folder")
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="HF folder (tokenizer.json) or SentencePiece .model"
    )
    parser.add_argument("--output", type=Path, required=True, help="prefix of the files to write")
    parser.add_argument(
        "--max-tokens", type=int, help="refuse documents with more tokens than this (default: no limit)"
    )
    parser.add_argument(
        "--chat", action="store_true", help="put each prompt into the tokenizer's chat template, as the user's message"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args()
    manifest = tokenize_corpus(
        arguments.input, arguments.tokenizer, arguments.output, arguments.max_tokens, arguments.chat
    )
    counts = {**manifest["counts"], "max_document_tokens": manifest["config"]["max_tokens"]}
    if arguments.json:
        print(json.dumps({"output": str(arguments.output), **counts}))
    else:
        print(f"wrote {arguments.output}: " + ", ".join(f"{value:,} {name}" for name, value in counts.items()))


if __name__ == "__main__":
    run_command(main)
