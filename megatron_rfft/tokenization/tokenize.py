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
from itertools import repeat
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, full_disk_reported, read_json, remove_unfinished, write_json
from megatron_rfft.common.manifest import read_manifest
from megatron_rfft.common.progress import progress_bar
from megatron_rfft.common.restart import Part, Work
from megatron_rfft.corpus.workers import worker_map
from megatron_rfft.data.documents import MANIFEST_KIND, DatasetPaths
from megatron_rfft.tokenization.chunks import Chunk
from megatron_rfft.tokenization.encode import ChunkSummary, encode_chunk, written_token
from megatron_rfft.tokenization.engines import warm_up, why_not_fast
from megatron_rfft.tokenization.integrity import finished_dataset
from megatron_rfft.tokenization.join import PartFiles, Proven, join_parts
from megatron_rfft.tokenization.options import Encoding, Options
from megatron_rfft.tokenization.sources import CHUNK_BYTES, Source, open_inputs, sample_documents
from megatron_rfft.tokenization.tokenizers import HFTokenizer, Tokenizer

_SAMPLE_CHARACTERS = 400_000
_PROOFS = 2  # raised whenever the proofs of parts say more than before


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
    work = Work(paths.prefix, notes=paths.parts, files=paths.parts, part=part)
    with worker_map(num_workers) as parallel_map, full_disk_reported(paths.prefix.parent):
        if (file := options.fast_file) and not paths.manifest.exists():
            # Both take a second to load a large vocabulary: the workers fastokens, meanwhile this process tokenizers.
            parallel_map(warm_up, [file] * num_workers)
        tokenizer = options.load()
        inputs = options.inputs(source, tokenizer)
        with work.held():
            if finished := finished_dataset(paths, inputs):
                work.end()
                return finished
            # Anew, so that the command may be given again with another option, or for input that was fixed meanwhile.
            work.begin({**inputs, "chunk_bytes": chunk_bytes, "proofs": _PROOFS}, anew=True)
            if part is None:  # no other run is at work
                _remove_leftovers(paths)
            chunks = source.chunks(options.fields, parallel_map, chunk_bytes)
            engine = _settle(paths, chunks, options, tokenizer, num_workers, parallel_map)
            encoding = options.encoding(tokenizer, engine)
            parts = _write_parts(work, chunks, encoding, parallel_map)
            if part is None:
                manifest = join_parts(paths, parts, encoding, inputs)
                work.end()
                return manifest
            for _ in parts:
                pass
            return _finish(work, paths, len(chunks), encoding, inputs)


def _remove_leftovers(paths: DatasetPaths) -> None:
    remove_unfinished(paths.parts)
    for file in (*paths.binaries, paths.manifest):
        remove_unfinished(file.parent, glob.escape(file.name))


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


def _write_parts(work: Work, chunks: Sequence[Chunk], encoding: Encoding, parallel_map: Callable) -> Iterator[Proven]:
    """Make the run's share of the parts, and yield each, in their order, as soon as it is there."""
    part = work.part or Part()
    numbers = range(part.number, len(chunks), part.count)
    mine = [chunks[number] for number in numbers]
    with progress_bar(len(mine), f"tokenize {work.output.name}", "parts") as bar:
        for files in parallel_map(_write_part, repeat(work), numbers, mine, repeat(encoding)):
            bar.update(1)
            yield files, work.proof(files.name, hashed=False)


def _write_part(work: Work, number: int, chunk: Chunk, encoding: Encoding) -> PartFiles:
    """Write the files of one part unless they are there and proven."""
    files = PartFiles.of(work.files, number)
    if work.proof(files.name):
        return files
    summary, digests = ChunkSummary(), (hashlib.sha256(), hashlib.sha256())
    # Not durable: a power loss costs the latest parts, which their proofs then show to be damaged.
    with atomic_write(files.tokens, "wb", False) as tokens, atomic_write(files.rows, "wb", False) as rows:
        for batch in encode_chunk(chunk, encoding, summary):
            for handle, digest, array in zip((tokens, rows), digests, (batch.tokens, batch.rows), strict=True):
                handle.write(array)
                digest.update(array)
    checksums = {f.name: digest.hexdigest() for f, digest in zip((files.tokens, files.rows), digests, strict=True)}
    work.prove(files.name, checksums, **summary.facts())
    return files


def _finish(
    work: Work, paths: DatasetPaths, num_parts: int, encoding: Encoding, inputs: dict[str, Any]
) -> dict[str, Any] | None:
    """Join the parts once all are there, whichever run that falls to; None if some are missing."""
    parts = [PartFiles.of(work.files, number) for number in range(num_parts)]
    return work.finish(
        [part.name for part in parts],
        make=lambda proofs: join_parts(paths, zip(parts, proofs, strict=True), encoding, inputs, check=True),
        made=lambda: read_manifest(paths.manifest, MANIFEST_KIND),
    )
