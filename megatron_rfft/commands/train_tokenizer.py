"""Train a small SentencePiece vocabulary on generated corpora."""

import json
from pathlib import Path

from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import make_parser
from megatron_rfft.tokenization.sentencepiece_train import train_tokenizer


def main(arguments: list[str] | None = None) -> None:
    """Parse the options and train."""
    parser = make_parser(
        "Train a SentencePiece vocabulary for small models: digits stay single, a recited line may be one piece. "
        "A vocabulary of the same inputs is left as it is.",
        "rfft train-tokenizer --input runs/corpus-rule --vocab-size 1024 --output runs/tokenizer.model",
        "rfft train-tokenizer",
    )
    parser.add_argument("--input", type=Path, nargs="+", required=True, help="corpus folders (rfft generate)")
    parser.add_argument("--vocab-size", type=int, default=1024, help="pieces in all")
    parser.add_argument("--max-records", type=int, default=20000, help="records read from each corpus, from its start")
    parser.add_argument("--output", type=Path, required=True, help="file to write (.model)")
    add_json(parser)
    options = parser.parse_args(arguments)
    train_tokenizer(options.input, options.vocab_size, options.max_records, options.output)
    result = {"output": str(options.output), "vocab_size": options.vocab_size}
    print(json.dumps(result) if options.json else f"wrote {options.output} ({options.vocab_size} pieces)")
