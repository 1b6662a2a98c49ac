"""Pickles of torch's sharded checkpoints, read without running anything: names that they may hold are listed here.

A pickle can name any function for the reader to call. An index (``.metadata``) needs a dozen data classes, a stored
tensor one rebuilding function, which is replaced by a note of its arguments.
"""

import collections
import io
import pathlib
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch.distributed.checkpoint import filesystem, metadata, planner
from torch.serialization import _get_layout

from megatron_rfft.common.errors import UserError

_DTYPES = {
    name: getattr(torch, name)
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
}
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
}
"""What torch.save calls the values of each number format."""
_CHECKPOINT = "torch.distributed.checkpoint."
_INDEX_CLASSES: dict[tuple[str, str], Any] = {
    **{
        (_CHECKPOINT + "metadata", name): getattr(metadata, name)
        for name in (
            "BytesStorageMetadata",
            "ChunkStorageMetadata",
            "Metadata",
            "MetadataIndex",
            "StorageMeta",
            "TensorProperties",
            "TensorStorageMetadata",
            "_MEM_FORMAT_ENCODING",
        )
    },
    **{
        (_CHECKPOINT + "planner", name): getattr(planner, name)
        for name in ("SavePlan", "TensorWriteData", "WriteItem", "WriteItemType", "BytesIOWriteData")
        if hasattr(planner, name)
    },
    (_CHECKPOINT + "filesystem", "_StorageInfo"): filesystem._StorageInfo,
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): _get_layout,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("pathlib", "PosixPath"): pathlib.PurePosixPath,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}


class _Restricted(pickle.Unpickler):
    def __init__(self, handle: IO[bytes], allowed: dict[tuple[str, str], Any]):
        super().__init__(handle)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self._allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        return pid


def read_index(folder: Path) -> metadata.Metadata:
    """The index of the sharded state in ``folder``. Raises UserError if it holds anything that an index does not."""
    path = folder / ".metadata"
    try:
        with path.open("rb") as handle:
            index = _Restricted(handle, _INDEX_CLASSES).load()
        places = index.storage_data.values()
        strays = [place.relative_path for place in places if Path(place.relative_path).name != place.relative_path]
    except Exception as error:  # a broken pickle can fail in any way
        raise UserError(f"{path} is not an index of a sharded checkpoint ({error}); use another checkpoint") from error
    if strays:
        raise UserError(f"{path} leads out of its folder ({strays[0]}); use another checkpoint")
    return index


@dataclass(frozen=True)
class StoredTensor:
    """Where the values of a tensor saved by torch lie, from the start of the file or slice that it was saved in."""

    offset: int
    dtype: torch.dtype
    shape: tuple[int, ...]


def locate_tensor(window: "Window") -> StoredTensor | None:
    """The tensor saved in ``window``, if it is one plain contiguous block, as torch writes them; else None."""
    with zipfile.ZipFile(window) as archive:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        description = archive.read(entries["data.pkl"])
        allowed = {
            ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: arguments,
            ("collections", "OrderedDict"): collections.OrderedDict,
            **{("torch", name): dtype for name, dtype in STORAGES.items()},
        }
        try:
            (_, dtype, key, _, numel), start, shape, stride, *_ = _Restricted(io.BytesIO(description), allowed).load()
        except (pickle.UnpicklingError, ValueError, TypeError):
            return None
        shape = tuple(shape)
        plain = torch.empty(shape, dtype=dtype, device="meta")
        entry = entries.get(f"data/{key}")
        if entry is None or entry.compress_type != zipfile.ZIP_STORED or start or tuple(stride) != plain.stride():
            return None
        if entry.file_size != plain.nbytes or numel != plain.numel():
            return None
        window.seek(entry.header_offset + 26)  # the local header's lengths of name and extra field
        lengths = window.read(4)
        skip = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    return StoredTensor(entry.header_offset + 30 + skip, dtype, shape)


class Window(io.RawIOBase):
    """The ``length`` bytes from ``start`` of an open file, as a file of their own."""

    def __init__(self, handle: IO[bytes], start: int, length: int):
        self.path, self.start = Path(handle.name), start
        self._handle, self._length, self._position = handle, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise OSError("a position before the start")  # what zipfile expects of files
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read what fits."""
        view = memoryview(buffer)[: max(0, self._length - self._position)]
        self._handle.seek(self.start + self._position)
        count = self._handle.readinto(view)  # type: ignore[attr-defined]
        self._position += count
        return count
