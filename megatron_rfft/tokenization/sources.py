"""What is tokenized: corpus folders, JSONL and Parquet files, or a preset, cut into chunks in one fixed order.

The chunks depend on the input alone, never on the number of workers, and neither does their order: that of the
arguments, of the sorted names a pattern stands for, and of the lines in a file.
"""

import glob
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.corpus.config import CorpusConfig
from megatron_rfft.corpus.generate import plan_corpus
from megatron_rfft.corpus.read import corpus_manifest, require_shard
from megatron_rfft.tokenization.chunks import Chunk, CompressedChunk, LinesChunk, ParquetChunk, PresetChunk
from megatron_rfft.tokenization.records import Document, Fields, Skipped, read_documents
from megatron_rfft.tokenization.tokenizers import Prompt

CHUNK_BYTES = 64 << 20
_SAMPLED_CHUNKS, _SAMPLED_DOCUMENTS = 8, 40


@dataclass(frozen=True)
class Source:
    """What is to be tokenized: ``identity`` (JSON values, without folders) says what it is, in checksums."""

    identity: dict[str, Any]
    files: tuple[Path, ...] = ()
    preset: CorpusConfig | None = None

    def chunks(self, fields: Fields, parallel_map: Callable = map, chunk_bytes: int = CHUNK_BYTES) -> list[Chunk]:
        """The chunks in their order. Raises UserError for a file that cannot be cut up."""
        if self.preset is not None:
            plan = plan_corpus(self.preset, parallel_map)
            count = self.preset.num_shards
            return [PresetChunk(self.preset, plan, n, plan.kept(plan.shard(n, count))) for n in range(count)]
        return [chunk for file in self.files for chunk in _chunks_of(file, fields, chunk_bytes)]


def open_preset(config: CorpusConfig) -> Source:
    """A corpus that is made while it is tokenized."""
    return Source({"preset": config.record()}, preset=config)


def open_inputs(inputs: Sequence[Path | str], num_threads: int = 1) -> Source:
    """The corpus folders, files and patterns ``inputs``, in their order.

    Files are hashed, since their checksums say later whether a data set is made from them; those of a corpus have to be
    the ones in its manifest. Raises UserError for what is not there or changed, for other kinds of files, and for
    corpora of two forms.
    """
    entries: list[dict[str, Any]] = []
    files: list[Path] = []
    stated: list[dict[str, Any] | None] = []
    forms: dict[str, str] = {}
    for item in inputs:
        if Path(item).is_dir():
            manifest = corpus_manifest(item)
            forms.setdefault(manifest["config"]["form"], str(item))
            for name, entry in manifest["files"].items():
                files.append(require_shard(Path(item) / name, entry, hashed=False))
                entries.append({"name": name})
                stated.append(entry)
        else:
            for path in _expand(item):
                files.append(path)
                entries.append({"name": path.name})
                stated.append(None)
    if len(forms) > 1:
        (form, first), (other, second) = list(forms.items())[:2]
        raise UserError(f"{second} has form {other!r}, {first} has {form!r}; make one data set a form")
    with ThreadPoolExecutor(num_threads) as threads:
        found = dict(zip(files, threads.map(sha256_file, files), strict=True))
    for entry, file, wanted in zip(entries, files, stated, strict=True):
        if wanted is not None:
            require_shard(file, wanted, partial(found.__getitem__, file))
        entry["sha256"] = found[file]
    return Source({"files": entries}, tuple(files))


def sample_documents(
    chunks: Sequence[Chunk], fields: Fields, wrap: Callable[[Prompt], str] | None = None
) -> Iterator[Document]:
    """The first usable documents of chunks all over the input; ``wrap`` as for ``read_documents``."""
    chosen = chunks[:: max(1, len(chunks) // _SAMPLED_CHUNKS)][:_SAMPLED_CHUNKS]
    if isinstance(chunks[0], PresetChunk):
        chosen = chosen[:1]  # it makes a whole shard, in which every task occurs, to show its first records
    lenient = replace(fields, skip_bad=True)
    for chunk in chosen:
        yield from islice(read_documents(chunk, lenient, Skipped(), wrap), _SAMPLED_DOCUMENTS)


def _expand(item: Path | str) -> list[Path]:
    """The files that one argument names."""
    paths = [Path(item)] if Path(item).is_file() else [Path(p) for p in sorted(glob.glob(str(item), recursive=True))]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        raise UserError(f"no such file or corpus folder: {item}; check the path or pattern")
    for path in paths:
        if not path.name.endswith((".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst", ".parquet")):
            raise UserError(
                f"{path} is not an input; give JSONL (.jsonl, plain, .gz or .zst), .parquet or a corpus folder"
            )
    return paths


def _chunks_of(path: Path, fields: Fields, chunk_bytes: int) -> Iterator[Chunk]:
    if path.suffix in (".gz", ".zst"):
        yield CompressedChunk(str(path))
    elif path.suffix == ".parquet":
        yield from _parquet_chunks(path, fields, chunk_bytes)
    else:
        size = path.stat().st_size
        count = max(1, round(size / chunk_bytes))
        bounds = [size * number // count for number in range(count + 1)]
        yield from (LinesChunk(str(path), *pair) for pair in pairwise(bounds))


def _parquet_chunks(path: Path, fields: Fields, chunk_bytes: int) -> Iterator[Chunk]:
    import pyarrow
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_metadata(path)
        names = metadata.schema.to_arrow_schema().names
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a whole Parquet file ({' '.join(str(error).split())}); restore it") from error
    required = [name for name, _ in fields.required.values()]
    for name in required:
        if name not in names:
            hint = "--messages" if fields.messages else "--prompt-field, --response-field"
            raise UserError(f"{path} has no column {name!r} but {', '.join(names)}; name it with {hint}")
    optional = {key: name for key, (name, _) in fields.optional.items()}
    for key, name in optional.items():
        if name != key and name not in names:
            raise UserError(f"{path} has no column {name!r} but {', '.join(names)}; correct --{key}-field")
    columns = tuple(name for name in (*required, *optional.values()) if name in names)
    start, size = 0, 0
    for group in range(metadata.num_row_groups):
        size += metadata.row_group(group).total_byte_size
        if size >= chunk_bytes or group == metadata.num_row_groups - 1:
            yield ParquetChunk(str(path), start, group + 1, columns)
            start, size = group + 1, 0
