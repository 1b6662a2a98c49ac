"""Pieces of input and the prompt-response records in them, each with the file and line where it stands.

A piece is what one worker reads at a time: a stretch of a JSONL file, a compressed file, row groups of a Parquet file,
or a shard of a preset that is made on the spot.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus.config import CorpusConfig
from megatron_rfft.corpus.generate import shard_lines
from megatron_rfft.corpus.plan import Plan

MOST_NAMED = 5  # skipped records that are named in the manifest
_BLOCK = 1 << 20
MAX_LENGTH = 2**16 - 1


class BadRecord(ValueError):
    """A record that cannot be used; the message says why."""


class DamagedInput(ValueError):
    """Input that cannot be read on from here; the message says why."""


@dataclass(frozen=True)
class LinesPiece:
    """The lines of a JSONL file that begin at bytes ``start`` to ``stop``."""

    path: str
    start: int
    stop: int

    def rows(self) -> Iterator[bytes]:
        with open(self.path, "rb", _BLOCK) as handle:
            position = self._first(handle)
            while position < self.stop and (line := handle.readline()):
                position += len(line)
                yield line

    def _first(self, handle: BinaryIO) -> int:
        """Move ``handle`` to the first line that begins in the piece."""
        if self.start:
            handle.seek(self.start - 1)
            handle.readline()
        return handle.tell()

    def place(self, row: int) -> str:
        """Where row number ``row`` of the piece stands. Counts the lines before it, so only for messages."""
        with open(self.path, "rb") as handle:
            rest = self._first(handle)
            handle.seek(0)
            lines = 0
            while rest and (block := handle.read(min(rest, _BLOCK))):
                lines += block.count(b"\n")
                rest -= len(block)
        return f"{self.path}, line {lines + row + 1}"


@dataclass(frozen=True)
class CompressedPiece:
    """All lines of a ``.gz`` or ``.zst`` file."""

    path: str

    def rows(self) -> Iterator[bytes]:
        try:
            if self.path.endswith(".gz"):
                with gzip.open(self.path) as handle:
                    yield from handle
            else:
                yield from _zst_lines(self.path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DamagedInput(f"the compressed file is damaged or cut short ({error})") from error

    def place(self, row: int) -> str:
        return f"{self.path}, line {row + 1}"


def _zst_lines(path: str) -> Iterator[bytes]:
    """Lines of all frames of a Zstandard file; zstandard's own reader takes a cut file for a whole one."""
    import zstandard

    frame, rest = None, b""
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            while block:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                try:
                    rest += frame.decompress(block)
                except zstandard.ZstdError as error:
                    raise EOFError(str(error)) from error
                block = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame = None
                *lines, rest = rest.split(b"\n")
                yield from lines
    if rest:
        yield rest
    if frame is not None:
        raise EOFError("it ends before its last frame does")


@dataclass(frozen=True)
class ParquetPiece:
    """Row groups ``start`` to ``stop`` of a Parquet file."""

    path: str
    start: int
    stop: int
    columns: tuple[str, ...]

    def rows(self) -> Iterator[dict[str, Any]]:
        import pyarrow
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                groups = list(range(self.start, self.stop))
                for batch in file.iter_batches(500, groups, columns=list(self.columns), use_threads=False):
                    yield from batch.to_pylist()
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DamagedInput(f"Parquet cannot be read ({' '.join(str(error).split())})") from error

    def place(self, row: int) -> str:
        import pyarrow.parquet

        metadata = pyarrow.parquet.read_metadata(self.path)
        before = sum(metadata.row_group(group).num_rows for group in range(self.start))
        return f"{self.path}, row {before + row + 1}"


@dataclass(frozen=True)
class PresetPiece:
    """One shard of a corpus that is made while it is read."""

    config: CorpusConfig
    plan: Plan
    number: int

    def rows(self) -> Iterator[bytes]:
        yield from shard_lines(self.config, self.plan, self.number)

    def place(self, row: int) -> str:
        return f"shard {self.number} of the preset, record {row + 1}"


Piece = LinesPiece | CompressedPiece | ParquetPiece | PresetPiece


@dataclass(frozen=True)
class Fields:
    """The names of a record's fields, and what happens with a record that lacks them or cannot be read."""

    prompt: str = "prompt"
    response: str = "response"
    skip_bad: bool = False

    def record_type(self) -> type:
        """The struct of a record: prompt and response are required, the others of a corpus may be absent."""
        names = {"prompt": self.prompt, "response": self.response}
        others = [("task", str | None, None), ("length", int | None, None), ("form", str | None, None)]
        fields = [("prompt", str), ("response", str), *(f for f in others if f[0] not in names.values())]
        return msgspec.defstruct("Record", fields, rename=names, gc=False)


@dataclass
class Skipped:
    """Records that were left out: how many, and the first of them by file and line."""

    bad: int = 0
    too_long: int = 0
    first: list[str] = field(default_factory=list)

    def note(self, message: str) -> None:
        if len(self.first) < MOST_NAMED:
            self.first.append(message)

    def add(self, other: "Skipped") -> None:
        self.bad += other.bad
        self.too_long += other.too_long
        for message in other.first:
            self.note(message)


class Document(msgspec.Struct, frozen=True, gc=False):
    """A record that can be used."""

    row: int
    prompt: str
    response: str
    task: str
    length: int
    form: str | None


def read_documents(piece: Piece, fields: Fields, skipped: Skipped) -> Iterator[Document]:
    """The documents of a piece in their order; blank lines are passed over.

    A bad record raises UserError with its file and line, or, with ``fields.skip_bad``, is counted in ``skipped``.
    """
    record_type = fields.record_type()
    decode = msgspec.json.Decoder(record_type).decode
    row = -1
    rows = enumerate(piece.rows())
    while True:
        try:
            row, raw = next(rows)
            if isinstance(raw, bytes):
                if raw.isspace() or not raw:
                    continue
                record = decode(raw)
            else:
                record = msgspec.convert(raw, record_type)
            yield _document(row, record)
        except StopIteration:
            return
        except DamagedInput as error:  # the row after the last that could be read
            _refuse(piece, row + 1, str(error), "restore the file", fields, skipped)
            return
        except (msgspec.MsgspecError, UnicodeDecodeError, BadRecord) as error:
            _refuse(piece, row, _reason(error), "mend it", fields, skipped)


def _document(row: int, record: Any) -> Document:
    length = getattr(record, "length", None) or 0
    if not 0 <= length <= MAX_LENGTH:
        raise BadRecord(f"length {length} is not between 0 and {MAX_LENGTH}")
    if not record.prompt:
        raise BadRecord("the prompt is empty: the response's first token could not be predicted")
    task, form = getattr(record, "task", None) or "", getattr(record, "form", None)
    return Document(row, record.prompt, record.response, task, length, form)


def _reason(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return str(error)[0].lower() + str(error)[1:].replace(" - at `$.", " at field `")
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 ({error.reason} at byte {error.start} of a text)"
    if isinstance(error, msgspec.DecodeError):
        return f"is not valid JSON ({error})"
    return str(error)


def _refuse(piece: Piece, row: int, reason: str, mend: str, fields: Fields, skipped: Skipped) -> None:
    if fields.skip_bad and skipped.bad >= MOST_NAMED:  # its place would not be named: spare the search for it
        skipped.bad += 1
        return
    message = f"{piece.place(row)}: {reason}"
    if not fields.skip_bad:
        raise UserError(f"{message}; {mend}, or leave out what is bad with --on-bad skip")
    skipped.bad += 1
    skipped.note(message)
