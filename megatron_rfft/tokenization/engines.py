"""Encoders of a ``tokenizer.json``: fastokens where it is exact, else the ``tokenizers`` library, which defines it."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import numpy as np

from megatron_rfft.common.errors import UserError

ENGINES = ("auto", "fastokens", "tokenizers")
FlatIds = tuple[np.ndarray, np.ndarray]
"""Ids of many texts end to end, and the offsets ``[num_texts + 1]`` (int64) where each begins."""

# Where encoders differ, if they do: combining marks, digits of other scripts, control characters, long runs, spaces
# before line ends, what looks like a special token.
PROBES = (
    "",
    "cafe\u0301 e\u0323\u0302 \u212b \ufb01 \u1100\u1161",
    "12345 ١٢٣ ½ ²³ 𝟗 1,000.50",
    "\r\n \r\n\t\n   x  \n\n\n  y\u00a0z\u3000w \u200b\u200d",
    "it's We'LL I'M 'S they'Re",
    "a" * 300 + " " * 70 + "=" * 90 + "\n" * 40,
    "\x00\x07\x7f\ufeff\ufffd 👩‍👩‍👧 🏳️‍🌈 नमस्ते ไทย 漢字",
    "<|im_start|>user<|im_end|> <|endoftext|></s><s><unk> <|im_end",
)


def load_backend(path: Path, library: str = "tokenizers"):
    """The ``Tokenizer`` of ``library`` for the file, never truncating or padding.

    Raises UserError if ``tokenizers`` cannot read it.
    """
    state = path.stat()
    return _load_once(path, library, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _load_once(path: Path, library: str, *_state: int):
    """One object for each state of a file: loading takes a second where the vocabulary is large."""
    module = import_module(library)
    try:
        backend = module.Tokenizer.from_file(str(path))
    except Exception as error:  # the libraries raise nothing narrower
        raise UserError(f"{path} is not a tokenizer.json that {library} reads ({error}); restore it") from error
    backend.no_truncation()
    backend.no_padding()
    return backend


def flatten(ids: Sequence[Sequence[int]]) -> FlatIds:
    """Lists of ids end to end, with their offsets."""
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(one) for one in ids], out=offsets[1:])
    flat = np.empty(offsets[-1], np.int32)
    for number, one in enumerate(ids):
        flat[offsets[number] : offsets[number + 1]] = one
    return flat, offsets


def load_engine(name: str, path: Path) -> Callable[[list[str]], FlatIds]:
    """The function that encodes texts with engine ``name``; no special token is added."""
    if name == "fastokens":
        backend = load_backend(path, "fastokens")

        def encode_fast(texts: list[str]) -> FlatIds:
            ids, offsets = backend.encode_batch_flat(texts)
            return np.frombuffer(ids, "<u4"), np.frombuffer(offsets, "<u8").astype(np.int64)

        return encode_fast
    slow = load_backend(path)
    return lambda texts: flatten([encoding.ids for encoding in slow.encode_batch_fast(texts, add_special_tokens=False)])


def fast_ids(path: Path, texts: Sequence[str]) -> FlatIds | str:
    """The ids that fastokens gives to ``texts``, or why it gives none."""
    try:
        return load_engine("fastokens", path)(list(texts))
    except ImportError:
        return "fastokens is not installed"
    except Exception as error:  # whatever it does not support, it says in an exception of its own
        return f"fastokens does not take this tokenizer ({' '.join(str(error).split())[:200]})"


def first_difference(ours: FlatIds, theirs: FlatIds) -> int | None:
    """The number of the first text with other ids, or None if all are equal."""
    for number in range(len(ours[1]) - 1):
        one, other = (ids[offsets[number] : offsets[number + 1]] for ids, offsets in (ours, theirs))
        if not np.array_equal(one, other):
            return number
    return None


def warm_up(path: Path) -> None:
    """Load fastokens in this process, before it is known whether it may stand in; what fails will be said later."""
    fast_ids(path, [])


def why_not_fast(path: Path, texts: Sequence[str], num_workers: int = 1, parallel_map: Callable = map) -> str | None:
    """Why fastokens cannot stand in for tokenizers on ``texts`` (and the probes), or None if it is exact there.

    Each worker encodes all of them: it has to load fastokens anyway, while this process encodes with tokenizers.
    """
    texts = [*PROBES, *texts]
    answers = parallel_map(fast_ids, [path] * num_workers, [texts] * num_workers)
    slow = load_engine("tokenizers", path)(texts)
    for fast in answers:
        if isinstance(fast, str):
            return fast
        if (number := first_difference(fast, slow)) is not None:
            return f"fastokens gives other ids than tokenizers for {texts[number][:60]!r}"
    return None
