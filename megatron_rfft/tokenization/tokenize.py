"""Tokenizing: parts that are pure functions of their chunk of the input, then joined into one data set.

While runs are under way, ``PREFIX.parts/`` holds the settings, the files of each finished part with their checksums,
and the tokenizer. Several runs, each with a share of the parts, may make one data set: the one that finishes last joins
the parts, whose order is that of the input.
"""

import glob
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, full_disk_reported, read_json, write_json
from megatron_rfft.common.manifest import read_manifest
from megatron_rfft.common.parts import Part, held, in_turn, read_proof, write_proof
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.corpus.workers import worker_map
from megatron_rfft.data.documents import MANIFEST_KIND, DatasetPaths
from megatron_rfft.tokenization.chunks import Chunk
from megatron_rfft.tokenization.encode import ChunkSummary, Encoding, encode_chunk, written_token
from megatron_rfft.tokenization.engines import ENGINES, warm_up, why_not_fast
from megatron_rfft.tokenization.integrity import finished_dataset
from megatron_rfft.tokenization.join import PartFiles, join_parts
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sources import CHUNK_BYTES, Source, open_inputs, sample_documents
from megatron_rfft.tokenization.tokenizers import HFTokenizer, Tokenizer, load_tokenizer

_SAMPLE_CHARACTERS = 400_000
_PROOFS = 2  # raised whenever the proofs of parts say more than before


@dataclass(frozen=True)
class Options:
    """How to tokenize; all but ``engine`` decides the data set's bytes. Raises UserError for what cannot be."""

    tokenizer: Path
    chat: bool = False
    bos: bool = False
    stop_token: str | None = None
    max_tokens: int | None = None
    skip_too_long: bool = False
    fields: Fields = field(default_factory=Fields)
    engine: str = "auto"
    """auto, fastokens or tokenizers; they give the same ids."""

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UserError(f"engine {self.engine!r} is unknown; choose one of {', '.join(ENGINES)}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UserError(f"--max-tokens is {self.max_tokens}; allow at least 1, or leave it out")
        if self.skip_too_long and self.max_tokens is None:
            raise UserError("--too-long skip needs a limit; give --max-tokens")
        if self.fields.messages and not self.chat:
            raise UserError("conversations go through the chat template; give --chat")

    @property
    def fast_file(self) -> Path | None:
        """The ``tokenizer.json`` that fastokens may encode with, if it is there and may be used."""
        file = self.tokenizer / "tokenizer.json" if self.tokenizer.is_dir() else self.tokenizer
        return file if self.engine != "tokenizers" and file.name == "tokenizer.json" and file.is_file() else None

    def load(self) -> Tokenizer:
        """The tokenizer. Raises UserError if it lacks what the options ask for."""
        tokenizer = load_tokenizer(self.tokenizer, self.stop_token)
        if self.chat:
            wrapped = tokenizer.chat_prompt("x")
            if self.bos and tokenizer.bos_id in tokenizer.encode(wrapped)[:1]:
                raise UserError("the chat template itself writes the token of the beginning; leave --bos out")
        if self.bos and tokenizer.bos_id is None:
            raise UserError(f"{self.tokenizer} has no token of the beginning (bos_token); leave --bos out")
        return tokenizer

    def encoding(self, tokenizer: Tokenizer, engine: str) -> Encoding:
        """What worker processes need to know."""
        return Encoding(
            tokenizer=tokenizer.path,
            engine=engine,
            vocab_size=tokenizer.vocab_size,
            stop_id=tokenizer.stop_id,
            bos_id=tokenizer.bos_id if self.bos else None,
            stop_token=self.stop_token,
            chat=self.chat,
            max_tokens=self.max_tokens,
            skip_too_long=self.skip_too_long,
            fields=self.fields,
            special_tokens=tokenizer.special_tokens,
        )

    def inputs(self, source: Source, tokenizer: Tokenizer) -> dict[str, Any]:
        """For the manifest: what the data set is made from, in checksums."""
        template = tokenizer.chat_template if self.chat else None
        return {
            "source": source.identity,
            "tokenizer_sha256": tokenizer.sha256,
            "stop_id": tokenizer.stop_id,
            "bos_id": tokenizer.bos_id if self.bos else None,
            "chat": self.chat,
            "chat_template_sha256": template and hashlib.sha256(template.encode()).hexdigest(),
            "max_tokens": self.max_tokens,
            "skip_too_long": self.skip_too_long,
            "fields": self.fields.record(),
            **({"chat_date": tokenizer.chat_date} if self.chat and tokenizer.chat_date else {}),
        }


def tokenize_corpus(
    corpus: Path | str | Sequence[Path | str],
    tokenizer_path: Path,
    prefix: Path | str,
    max_tokens: int | None = None,
    chat: bool = False,
) -> dict[str, Any]:
    """Tokenize a corpus folder, or files, into the data set ``prefix``; the manifest.

    A finished one of the same inputs is left as it is. A document over ``max_tokens`` raises UserError.
    """
    source = open_inputs([corpus] if isinstance(corpus, str | Path) else corpus)
    manifest = tokenize(source, Options(tokenizer_path, chat=chat, max_tokens=max_tokens), prefix)
    assert manifest is not None  # one run makes all parts
    return manifest


def tokenize(
    source: Source,
    options: Options,
    prefix: Path | str,
    num_workers: int = 1,
    part: Part | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> dict[str, Any] | None:
    """Make the data set ``prefix``, or a run's share of its parts; whole parts found there are kept.

    Returns the manifest, or None if parts of other runs are still missing. The bytes depend on ``source`` and
    ``options`` alone. Raises UserError for bad input and if a data set of other inputs is there or in the making,
    CommandFailed if a worker dies or the disk is full.
    """
    if num_workers < 1:
        raise UserError(f"the number of workers is {num_workers}; ask for at least 1")
    paths = DatasetPaths(Path(prefix))
    with worker_map(num_workers) as parallel_map, full_disk_reported(paths.prefix.parent):
        if (file := options.fast_file) and not paths.manifest.exists():
            # Both take a second to load a large vocabulary: the workers fastokens, meanwhile this process tokenizers.
            parallel_map(warm_up, [file] * num_workers)
        tokenizer = options.load()
        inputs = options.inputs(source, tokenizer)
        settings = {**inputs, "chunk_bytes": chunk_bytes, "proofs": _PROOFS}
        paths.prefix.parent.mkdir(parents=True, exist_ok=True)
        _discard_others(paths, settings)
        with held(paths.lock, part is not None, paths.prefix):
            if finished := finished_dataset(paths, inputs):
                clean_up(paths)
                return finished
            _open_folder(paths, settings, alone=part is None)
            chunks = source.chunks(options.fields, parallel_map, chunk_bytes)
            engine = _settle(paths, chunks, options, tokenizer, num_workers, parallel_map)
            encoding = options.encoding(tokenizer, engine)
            parts = _write_parts(paths, chunks, encoding, part or Part(), parallel_map)
            if part is None:
                manifest = join_parts(paths, parts, encoding, inputs)
                clean_up(paths)
                return manifest
            for _ in parts:
                pass
            return _finish(paths, len(chunks), encoding, inputs)


def _discard_others(paths: DatasetPaths, settings: dict[str, Any]) -> None:
    """Remove the beginning of a data set with other settings or of other input, unless a run is at work on it.

    So the same command may be given again after the input was fixed, or with another option that an error named.
    """
    while differing := _differing(paths, settings):
        try:
            with held(paths.lock, False, paths.prefix):
                if differing := _differing(paths, settings):
                    print(
                        f"note: {paths.parts} held the beginning of a data set with another {differing}; starting anew",
                        file=sys.stderr,
                    )
                    shutil.rmtree(paths.parts)
        except UserError:
            if _differing(paths, settings):  # else a run like this one was faster
                raise


def _differing(paths: DatasetPaths, settings: dict[str, Any]) -> str | None:
    """A setting that the folder of parts was begun with and these are not; None if there is none."""
    try:
        found = read_json(paths.parts / "settings.json")
    except UserError:  # it is not there
        return None
    return next((key for key in {**found, **settings} if found.get(key) != settings.get(key)), None)


def _open_folder(paths: DatasetPaths, settings: dict[str, Any], alone: bool) -> None:
    """Prepare the folder of parts for these settings. Raises UserError if a run with others was faster."""
    if alone:  # we hold the lock: what is temporary is of a killed run
        names = [glob.escape(f".{file.name}") + ".*.tmp" for file in (*paths.binaries, paths.manifest)]
        for leftover in (*paths.parts.glob(".*.tmp"), *(f for name in names for f in paths.prefix.parent.glob(name))):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    if differing := _differing(paths, settings):
        raise UserError(f"another run is making {paths.prefix} with another {differing}; give another --output")
    if not (paths.parts / "settings.json").exists():
        write_json(paths.parts / "settings.json", settings)


def _settle(
    paths: DatasetPaths,
    chunks: Sequence[Chunk],
    options: Options,
    tokenizer: Tokenizer,
    num_workers: int,
    parallel_map: Callable,
) -> str:
    """Choose the engine by a sample of the texts, and save the tokenizer, proven on them. Once for all runs."""
    settled = paths.parts / "engine.json"
    if settled.exists():
        return read_json(settled)["engine"]
    if not chunks:
        raise UserError(f"the input for {paths.prefix} holds no records; generate it again")
    texts = sample_texts(chunks, options, tokenizer)
    engine = choose_engine(tokenizer, options.engine, texts, num_workers, parallel_map)
    _save_tokenizer(paths.parts / "tokenizer", tokenizer, texts[:2000])
    write_json(settled, {"engine": engine})
    return engine


def sample_texts(chunks: Sequence[Chunk], options: Options, tokenizer: Tokenizer) -> list[str]:
    """Texts from all over the input, as they are encoded, on which engines and exports are proven.

    Raises UserError where the tokenizer gives back most traces otherwise than it got them; a note says the rest.
    """
    texts: list[str] = []
    characters = 0
    traced = 0
    specials = () if isinstance(tokenizer, HFTokenizer) else tuple(tokenizer.special_tokens.values())
    for document in sample_documents(chunks, options.fields, tokenizer.chat_prompt if options.chat else None):
        if written_token(document, specials):
            continue  # it is refused with its place, or left out
        texts += [document.prompt, document.response]
        traced += document.form is not None
        characters += len(texts[-2]) + len(texts[-1])
        if characters >= _SAMPLE_CHARACTERS:
            break
    _check_given_back(texts[1::2], tokenizer, are_traces=traced > 0)
    return texts


def _check_given_back(responses: Sequence[str], tokenizer: Tokenizer, are_traces: bool) -> None:
    """Whether an answer in these tokens can be what was learned: not so where text is lowercased or stripped."""
    given = [tokenizer.decode(ids) for ids in tokenizer.encode_batch(list(responses))]
    differing = [pair for pair in zip(responses, given, strict=True) if pair[0] != pair[1]]
    if not differing:
        return
    text, other = differing[0]
    at = next((n for n, (one, two) in enumerate(zip(text, other, strict=False)) if one != two), len(other))
    shown = f"{text[max(0, at - 20) : at + 20]!r} becomes {other[max(0, at - 20) : at + 20]!r}"
    if are_traces and len(differing) > len(responses) / 2:
        raise UserError(
            f"{tokenizer.path} does not give back the traces that it is given: {shown}; give another tokenizer"
        )
    print(
        f"note: {tokenizer.path} gives back {len(differing)} of {len(responses)} sampled responses otherwise: {shown}",
        file=sys.stderr,
    )


def choose_engine(
    tokenizer: Tokenizer, asked: str, texts: Sequence[str], num_workers: int = 1, parallel_map: Callable = map
) -> str:
    """fastokens if it gives the ids of tokenizers on all ``texts``, else tokenizers, with a note on stderr.

    Raises UserError if fastokens is asked for and is not exact.
    """
    if not isinstance(tokenizer, HFTokenizer):
        return "sentencepiece"
    if asked == "tokenizers":
        return asked
    reason = why_not_fast(tokenizer.path, texts, num_workers, parallel_map)
    if reason is None:
        return "fastokens"
    if asked == "fastokens":
        raise UserError(f"{reason}; leave --engine out")
    print(f"note: {reason}; encoding with tokenizers, which is slower", file=sys.stderr)
    return "tokenizers"


def _save_tokenizer(folder: Path, tokenizer: Tokenizer, sample: Sequence[str]) -> None:
    if folder.exists():
        return
    temporary = Path(tempfile.mkdtemp(".tmp", ".tokenizer.", folder.parent))
    temporary.chmod(0o755)
    tokenizer.save_pretrained(temporary, sample)
    try:
        temporary.rename(folder)
    except OSError:  # another run was faster
        shutil.rmtree(temporary)


def _write_parts(
    paths: DatasetPaths, chunks: Sequence[Chunk], encoding: Encoding, part: Part, parallel_map: Callable
) -> Iterator[PartFiles]:
    """Make the run's share of the parts, and yield each, in their order, as soon as it is there."""
    numbers = range(part.number, len(chunks), part.count)
    mine = [chunks[number] for number in numbers]
    with progress_bar(len(mine), f"tokenize {paths.prefix.name}", "parts") as bar:
        for files in parallel_map(_write_part, repeat(paths.parts), numbers, mine, repeat(encoding)):
            bar.update(1)
            yield files


def _write_part(folder: Path, number: int, chunk: Chunk, encoding: Encoding) -> PartFiles:
    """Write the files of one part unless they are there and proven."""
    files = PartFiles.of(folder, number)
    if read_proof(files.proof, folder, hashed=True):
        return files
    summary, digests = ChunkSummary(), (hashlib.sha256(), hashlib.sha256())
    # Not durable: a power loss costs the latest parts, which their proofs then show to be damaged.
    with atomic_write(files.tokens, "wb", False) as tokens, atomic_write(files.rows, "wb", False) as rows:
        for batch in encode_chunk(chunk, encoding, summary):
            for handle, digest, array in zip((tokens, rows), digests, (batch.tokens, batch.rows), strict=True):
                handle.write(array)
                digest.update(array)
    checksums = {f.name: digest.hexdigest() for f, digest in zip((files.tokens, files.rows), digests, strict=True)}
    write_proof(files.proof, checksums, **summary.facts())
    return files


def _finish(paths: DatasetPaths, num_parts: int, encoding: Encoding, inputs: dict[str, Any]) -> dict[str, Any] | None:
    """Join the parts once all are there, whichever run that falls to; None if some are missing."""
    if paths.manifest.exists() and not paths.parts.exists():  # another run has joined them meanwhile
        return read_manifest(paths.manifest, MANIFEST_KIND)
    with in_turn(paths.lock.with_suffix(".join")):
        if not paths.parts.exists():
            return read_manifest(paths.manifest, MANIFEST_KIND)
        parts = [PartFiles.of(paths.parts, number) for number in range(num_parts)]
        if not all(read_proof(part.proof, paths.parts, hashed=False) for part in parts):
            return None
        manifest = join_parts(paths, parts, encoding, inputs, check=True)
        clean_up(paths)
    return manifest


def clean_up(paths: DatasetPaths) -> None:
    """Remove what only runs under way need."""
    shutil.rmtree(paths.parts, ignore_errors=True)
    paths.lock.with_suffix(".join").unlink(missing_ok=True)
    paths.lock.unlink(missing_ok=True)
