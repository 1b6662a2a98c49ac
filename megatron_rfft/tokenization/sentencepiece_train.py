"""Train a small SentencePiece vocabulary on a corpus: digits are single, recited lines and small values are pieces."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, require_file, sha256_file
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.common.restart import finished_manifest
from megatron_rfft.corpus.read import read_records
from megatron_rfft.rules.instrument import ANSWER_PREFIX

_MAX_PIECE_LENGTH = 96
_BASE = 512  # pieces that any vocabulary needs: bytes, characters, headers, the commonest words
_HINT = "write the corpus with rfft generate"
_LOSSLESS = {
    "character_coverage": 1.0,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
    "allow_whitespace_only_pieces": True,
    "byte_fallback": True,
}
"""Identity normalization, all spaces kept, bytes as fall-back."""
_WHOLE_LINES = {
    "split_by_whitespace": False,
    "split_by_unicode_script": False,
    "split_by_number": False,
    "split_digits": True,
}
"""A piece may be as long as a line; only digits stand alone."""
_SPECIAL_IDS = {"unk_id": 0, "bos_id": -1, "eos_id": 1, "pad_id": -1}
# Symbols of their own: digits, so that no piece hides one, and what is one piece in spite of its digits: the headers of
# a trace, and recited statements that name a number (``num = num[1:]``).
_HEADERS = ["1. Initialize\n", *(f"{k}. {name}\n" for k in range(2, 8) for name in ("Main loop", "Return"))]
_HEADERS += [f"{k}.1 One iteration\n" for k in range(2, 7)]
_SYMBOLS = [*"0123456789", *_HEADERS]
# No piece crosses the end of a line, its indentation, or the opening quote of a string. So a line is one piece or a
# few, the same ones in the rule and where it is recited: to recite is to copy. An item of a list is a piece together
# with what follows it (``Ana', '``), the same wherever the list is recited.
_PIECE_END = re.compile(r"(?<=\n)|(?<=    )(?=\S)|(?<=[\[ ]')")
_BOUNDARY = "\x1f"
_STATEMENT = re.compile(r"^ +(\S.*\d.*\n)", re.MULTILINE)
# ``count = 0`` is a statement, and also how a trace shows the value of count.
_VALUE = re.compile(r"[\w, ]+ = [^a-z]*\n")
_SHOWN = re.compile(r"^((?:now, )?[A-Za-z_]\w*\d\w* = '?)[^a-z\n]*$", re.MULTILINE)
# A small number that is a value by itself (``count = 12``) is one piece, so that two of them compare as two pieces do.
_NUMBER = re.compile(r" = (\d\d?)$", re.MULTILINE)
# So is an answer of two digits with its line: the value that is returned has one piece for it.
_ANSWER = re.compile(rf"^{ANSWER_PREFIX}(\d\d)(.*)", re.MULTILINE)


def train_tokenizer(corpora: Sequence[Path], vocab_size: int, max_records: int, output: Path) -> None:
    """Train on the first ``max_records`` of each corpus folder and write ``output`` with its manifest.

    A vocabulary of the same inputs is left as it is; of others, UserError.
    """
    manifest = output.with_name(f"{output.name}.manifest.json")
    checksums = [sha256_file(require_file(corpus / "manifest.json", _HINT)) for corpus in corpora]
    inputs = {"corpora": checksums, "vocab_size": vocab_size, "max_records": max_records}
    if finished_manifest(manifest, "tokenizer", inputs):
        return
    records = [record for corpus in corpora for record in itertools.islice(read_records(corpus), max_records)]
    symbols = numbered_statements(records, limit=max(0, vocab_size - _BASE) // 4) + shown_numbers(records)
    symbols += answered_numbers(records)
    texts = (record[key] for record in records for key in ("prompt", "response"))
    train_sentencepiece(texts, vocab_size, output, symbols)
    write_manifest(manifest, "tokenizer", [output], inputs=inputs)


def numbered_statements(records: Iterable[dict], limit: int) -> list[str]:
    """What is to be one piece in spite of its digits, by how many ``records`` recite it; ``limit`` at most.

    That is statements, which stand indented in the rule and bare in the trace, and ``num1 = '`` before a value.
    """
    recited = Counter()
    for record in records:
        statements = {match[1] for match in _STATEMENT.finditer(record["prompt"])}
        statements &= set(record["response"].splitlines(keepends=True))
        recited.update(statement for statement in statements if not _VALUE.fullmatch(statement))
        recited.update(set(_SHOWN.findall(record["response"])))
    return sorted(statement for statement, _ in sorted(recited.items(), key=lambda item: (-item[1], item[0]))[:limit])


def shown_numbers(records: Sequence[dict], share: float = 0.01) -> list[str]:
    """The numbers below 100 that ``share`` of ``records`` or more show as a value, each with its space and line end."""
    shown = Counter(number for record in records for number in set(_NUMBER.findall(record["response"])))
    common = [number for number, count in shown.items() if count >= share * len(records)]
    return [f" {number}\n" for number in sorted(common, key=int)]


def answered_numbers(records: Sequence[dict], share: float = 0.001) -> list[str]:
    """The last lines with numbers of two digits that ``share`` of ``records`` or more have as their answer.

    None that another answer begins with: it would be cut there.
    """
    found = [match for record in records if (match := _ANSWER.search(record["response"]))]
    answers = Counter(match[1] for match in found if not match[2])
    begun = {match[1] for match in found if match[2]}
    common = {number for number, count in answers.items() if count >= share * len(records)}
    return [f"{ANSWER_PREFIX}{number}" for number in sorted(common - begun)]


def train_sentencepiece(texts: Iterator[str], vocab_size: int, output: Path, symbols: Sequence[str] = ()) -> None:
    """Train a BPE model on ``texts`` and write it as ``output`` (``.model``). Each of ``symbols`` becomes one piece.

    It is lossless. Raises UserError if the texts are too few for ``vocab_size`` pieces.
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
                **_LOSSLESS,
                **_WHOLE_LINES,
                user_defined_symbols=[symbol.replace(" ", "▁") for symbol in (*_SYMBOLS, *symbols)],
                max_sentencepiece_length=_MAX_PIECE_LENGTH,
                max_sentence_length=1 << 20,
                num_threads=1,  # the same pieces on every machine
                **_SPECIAL_IDS,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise UserError(
                f"cannot train {vocab_size} pieces: {error}; change --vocab-size or give more text"
            ) from error
