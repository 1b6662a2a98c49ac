"""Which safetensors of a Hugging Face folder hold its weights, and where; no torch in here: vLLM has to come first.

Libraries differ where a folder holds more than one set: transformers reads ``model.safetensors``, then what the index
names; vLLM what the index names, else every file, and ``consolidated*.safetensors`` before all. So several sets have to
agree in every byte.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json

INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_MAX_HEADER_BYTES = 100_000_000
_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class Place:
    """A tensor in a file: ``size`` bytes from ``offset``, in the format's name of its dtype."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


Headers = dict[Path, dict[str, Place]]
"""The tensors of files by their names, by file."""


def weight_files(folder: Path) -> Headers:
    """The files that hold the weights in ``folder``, by name, each with its tensors. Every header is read once.

    Raises UserError if there is none, if one is missing or broken, and if libraries would read different weights.
    """
    everything = sorted(path for path in folder.glob("*.safetensors") if path.is_file())
    indexed = _indexed(folder) if (folder / INDEX).is_file() else None
    consolidated = [path for path in everything if path.name.startswith("consolidated")]
    chosen = indexed or _headers([path for path in everything if path not in consolidated] or consolidated)
    if not chosen:
        raise UserError(f"{folder} holds no .safetensors weights; save the model with safe serialization")
    tensors = _tensors(chosen)
    single = [path for path in everything if path.name == _SINGLE]
    for other in (single, consolidated):
        if other and other != list(chosen):
            _require_equal(folder, tensors, _headers(other, chosen))
    return chosen


def _headers(files: list[Path], known: Headers | None = None) -> Headers:
    """The headers of ``files``, read unless they are ``known``."""
    return {file: (known or {}).get(file) or read_header(file) for file in files}


def _indexed(folder: Path) -> Headers:
    """The files that the index names, each of which holds the tensors that it should."""
    index = folder / INDEX
    try:
        weight_map = {str(name): str(file) for name, file in read_json(index)["weight_map"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} has no weight_map; download the model again") from error
    files = sorted({folder / file for file in weight_map.values()})
    if missing := [file for file in files if file.parent != folder or not file.is_file()]:
        raise UserError(f"{missing[0]} is missing; download the model again")
    headers = _headers(files)
    for name, file in weight_map.items():
        if name not in headers[folder / file]:
            raise UserError(f"{index} says that {file} holds {name}, which it does not; download the model again")
    return headers


def _tensors(headers: Headers) -> dict[str, Place]:
    """All tensors of several files. Raises UserError if two files hold one that differs."""
    found: dict[str, Place] = {}
    for file, places in headers.items():
        for name, place in places.items():
            if not same_tensor(found.setdefault(name, place), place):
                raise UserError(f"{file} and {found[name].file.name} hold different {name}; remove one of them")
    return found


def _require_equal(folder: Path, tensors: dict[str, Place], other: Headers) -> None:
    """Raise UserError if ``other`` files, which some libraries read instead, hold other weights."""
    theirs = _tensors(other)
    first = next(iter(other)).name
    if first != _SINGLE and not theirs.keys() & tensors.keys():
        return  # the same model in another library's names
    for name in sorted(theirs.keys() | tensors.keys()):
        one, two = tensors.get(name), theirs.get(name)
        if one is None or two is None or not same_tensor(one, two):
            beside = (one or next(iter(tensors.values()))).file.name
            raise UserError(
                f"{folder} holds two sets of weights: {first} and {beside} differ in {name}, and libraries do "
                "not read the same one; remove the wrong one"
            )


def same_tensor(one: Place, two: Place) -> bool:
    """Whether two tensors are equal in dtype, shape and every bit."""
    if (one.dtype, one.shape, one.size) != (two.dtype, two.shape, two.size):
        return False
    if (one.file, one.offset) == (two.file, two.offset):
        return True
    with one.file.open("rb") as first, two.file.open("rb") as second:
        first.seek(one.offset)
        second.seek(two.offset)
        for start in range(0, one.size, _BLOCK_BYTES):
            size = min(_BLOCK_BYTES, one.size - start)
            if first.read(size) != second.read(size):
                return False
    return True


def read_header(path: Path) -> dict[str, Place]:
    """The tensors in a file, in the header's order. Raises UserError if it is cut or no safetensors file."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        try:
            if not 0 < length <= min(_MAX_HEADER_BYTES, size - 8):
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(handle.read(length))
            header.pop("__metadata__", None)
            found = {}
            for name, entry in header.items():
                start, end = entry["data_offsets"]
                if not 0 <= start <= end or 8 + length + end > size:
                    raise ValueError(f"{name} does not lie in it")
                found[name] = Place(path, entry["dtype"], tuple(entry["shape"]), 8 + length + start, end - start)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a whole safetensors file ({error}); download the model again") from error
    return found
