"""Chunks of input: what one worker reads at a time, and where each of its rows stands.

A chunk is a stretch of a JSONL file, a compressed file, row groups of a Parquet file, or a shard of a preset that is
made on the spot.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from megatron_rfft.corpus.config import CorpusConfig
from megatron_rfft.corpus.generate import shard_lines
from megatron_rfft.corpus.plan import CorpusPlan

_BLOCK = 1 << 20
_LARGEST_WINDOW = 1 << 31  # zstd --long=31: the format's reader itself goes no further


class DamagedInput(ValueError):
    """A container that cannot be read on from here, so that nobody knows what is lost; the message says why."""


class BadRow:
    """Stands for a row that is there and cannot be read; ``reason`` says why."""

    def __init__(self, reason: str):
        self.reason = reason


@dataclass(frozen=True)
class LinesChunk:
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
        """Move ``handle`` to the first line that begins in the chunk."""
        if self.start:
            handle.seek(self.start - 1)
            handle.readline()
        return handle.tell()

    def place(self, row: int) -> str:
        """Where row number ``row`` of the chunk stands. Counts the lines before it, so only for messages."""
        with open(self.path, "rb") as handle:
            rest = self._first(handle)
            handle.seek(0)
            lines = 0
            while rest and (block := handle.read(min(rest, _BLOCK))):
                lines += block.count(b"\n")
                rest -= len(block)
        return f"{self.path}, line {lines + row + 1}"


@dataclass(frozen=True)
class CompressedChunk:
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
            raise DamagedInput(f"the compressed file is damaged or cut short before this line ({error})") from error

    def place(self, row: int) -> str:
        return f"{self.path}, line {row + 1}"


def _zst_lines(path: str) -> Iterator[bytes]:
    """Lines of all frames of a Zstandard file; zstandard's own reader takes a cut file for a whole one."""
    import zstandard

    frame, rest = None, b""
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            while block:
                frame = frame or zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
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
class ParquetChunk:
    """Row groups ``start`` to ``stop`` of a Parquet file."""

    path: str
    start: int
    stop: int
    columns: tuple[str, ...]

    def rows(self) -> Iterator[dict[str, Any] | BadRow]:
        import pyarrow
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(self.path, page_checksum_verification=True) as file:
                groups = list(range(self.start, self.stop))
                for batch in file.iter_batches(500, groups, columns=list(self.columns), use_threads=False):
                    yield from _python_rows(batch)
        except (pyarrow.ArrowException, OSError) as error:
            raise DamagedInput(f"Parquet cannot be read ({' '.join(str(error).split())})") from error

    def place(self, row: int) -> str:
        import pyarrow.parquet

        metadata = pyarrow.parquet.read_metadata(self.path)
        before = sum(metadata.row_group(group).num_rows for group in range(self.start))
        return f"{self.path}, row {before + row + 1}"


def _python_rows(batch) -> Iterator[dict[str, Any] | BadRow]:
    """The rows of a pyarrow.RecordBatch; where one holds a text that is none, only that one is bad."""
    try:
        yield from batch.to_pylist()
        return
    except UnicodeDecodeError:
        pass
    for number in range(batch.num_rows):
        try:
            yield batch.slice(number, 1).to_pylist()[0]
        except UnicodeDecodeError as error:
            yield BadRow(f"is not UTF-8 ({error.reason} at byte {error.start} of a text)")


@dataclass(frozen=True)
class PresetChunk:
    """One shard of a corpus that is made while it is read."""

    config: CorpusConfig
    plan: CorpusPlan
    number: int
    kept: list[bytes | None]
    """Of the plan, for this shard."""

    def rows(self) -> Iterator[bytes]:
        yield from shard_lines(self.config, self.plan, self.number, self.kept)

    def place(self, row: int) -> str:
        return f"shard {self.number} of the preset, record {row + 1}"


Chunk = LinesChunk | CompressedChunk | ParquetChunk | PresetChunk
