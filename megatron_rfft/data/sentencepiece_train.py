"""Train a small SentencePiece vocabulary on a corpus: digits stay single, a recited line may become one piece."""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, require_file, sha256_file
from megatron_rfft.common.manifest import finished_manifest, write_manifest
from megatron_rfft.data.sources import whole_records

_MAX_PIECE_LENGTH = 96
_HINT = "write the corpus with data_prep/generate.py"
# Symbols of their own: digits, so that no piece hides one, and the headers of a trace, so that these are one piece in
# spite of their digits.
_HEADERS = ["1. Initialize\n", *(f"{k}. {name}\n" for k in range(2, 8) for name in ("Main loop", "Return"))]
_HEADERS += [f"{k}.1 One iteration\n" for k in range(2, 7)]
_SYMBOLS = [*"0123456789", *_HEADERS]
# No piece crosses the end of a line, its indentation, or the opening quote of a string. So a line is one piece or a
# few, the same ones in the rule and where it is recited: to recite is to copy. An item of a list is a piece together
# with what follows it (``Ana', '``), the same wherever the list is recited.
_PIECE_END = re.compile(r"(?<=\n)|(?<=    )(?=\S)|(?<=[\[ ]')")
_BOUNDARY = "\x1f"


def train_tokenizer(corpora: Sequence[Path], vocab_size: int, max_records: int, output: Path) -> None:
    """Train on the first ``max_records`` of each corpus folder and write ``output`` with its manifest.

    A vocabulary of the same inputs is left as it is; of others, UserError.
    """
    manifest = output.with_name(f"{output.name}.manifest.json")
    checksums = [sha256_file(require_file(corpus / "manifest.json", _HINT)) for corpus in corpora]
    inputs = {"corpora": checksums, "vocab_size": vocab_size, "max_records": max_records}
    if finished_manifest(manifest, "tokenizer", inputs):
        return
    records = itertools.chain.from_iterable(itertools.islice(whole_records(corpus), max_records) for corpus in corpora)
    train_sentencepiece(
        (text for record in records for text in (record["prompt"], record["response"])), vocab_size, output
    )
    write_manifest(manifest, "tokenizer", [output], inputs=inputs)


def train_sentencepiece(texts: Iterator[str], vocab_size: int, output: Path) -> None:
    """Train a BPE model on ``texts`` and write it as ``output`` (``.model``).

    Lossless: identity normalization, all spaces kept, bytes as fall-back. Raises UserError if the texts are too few
    for ``vocab_size`` pieces.
    """
    import sentencepiece

    if output.suffix != ".model":
        raise UserError(f"--output {output} must end in .model")
    with atomic_write(output, "wb") as handle:
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=(_PIECE_END.sub(_BOUNDARY, text) for text in texts),
                pretokenization_delimiter=_BOUNDARY,
                model_writer=handle,
                model_type="bpe",
                vocab_size=vocab_size,
                character_coverage=1.0,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                split_by_whitespace=False,
                split_by_unicode_script=False,
                split_by_number=False,
                split_digits=True,
                allow_whitespace_only_pieces=True,
                byte_fallback=True,
                user_defined_symbols=[symbol.replace(" ", "▁") for symbol in _SYMBOLS],
                max_sentencepiece_length=_MAX_PIECE_LENGTH,
                max_sentence_length=1 << 20,
                num_threads=1,  # the same pieces on every machine
                unk_id=0,
                bos_id=-1,
                eos_id=1,
                pad_id=-1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise UserError(
                f"cannot train {vocab_size} pieces: {error}; change --vocab-size or give more text"
            ) from error
