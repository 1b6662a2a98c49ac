#!/usr/bin/env python3
"""Train a small SentencePiece vocabulary on generated corpora."""

import json
from pathlib import Path

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.data.sentencepiece_train import train_tokenizer


def main() -> None:
    """Parse the options and train."""
    parser = make_parser(
        "Train a SentencePiece vocabulary for small models: digits stay single, a recited line may be one piece. "
        "A vocabulary of the same inputs is left as it is.",
        "data_prep/train_tokenizer.py --input runs/corpus-rule --vocab-size 1024 --output runs/tokenizer.model",
    )
    parser.add_argument("--input", type=Path, nargs="+", required=True, help="corpus folders (data_prep/generate.py)")
    parser.add_argument("--vocab-size", type=int, default=1024, help="pieces in all")
    parser.add_argument("--max-records", type=int, default=20000, help="records read from each corpus, from its start")
    parser.add_argument("--output", type=Path, required=True, help="file to write (.model)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args()
    train_tokenizer(arguments.input, arguments.vocab_size, arguments.max_records, arguments.output)
    result = {"output": str(arguments.output), "vocab_size": arguments.vocab_size}
    print(json.dumps(result) if arguments.json else f"wrote {arguments.output} ({arguments.vocab_size} pieces)")


if __name__ == "__main__":
    run_command(main)
