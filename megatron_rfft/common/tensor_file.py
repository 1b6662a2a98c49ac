"""Single tensors as torch.save writes them, with values that pass by: torch.save wants them all in memory."""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterable

import torch

from megatron_rfft.common.hashed_file import HashedFile
from megatron_rfft.common.restricted import STORAGES

_ALIGNMENT = 64  # torch's, of the values
_VALUES = "archive/data/0"
_LOCAL_HEADER = 30 + len(_VALUES) + 4 + 20  # the fixed part, the name, the head of the padding, sizes in 64 bits


class _Storage:
    """Stands for the values in a pickle."""

    def __init__(self, dtype: torch.dtype, numel: int):
        self.type = next(getattr(torch, name) for name, each in STORAGES.items() if each == dtype)
        self.numel = numel


class _Tensor:
    """Pickled as a contiguous tensor is."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype):
        self._shape, self._dtype = tuple(shape), dtype

    def __reduce__(self) -> tuple:
        stride = tuple(math.prod(self._shape[axis + 1 :]) for axis in range(len(self._shape)))
        storage = _Storage(self._dtype, math.prod(self._shape))
        return torch._utils._rebuild_tensor_v2, (storage, 0, self._shape, stride, False, OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> tuple | None:
        return ("storage", obj.type, "0", "cpu", obj.numel) if isinstance(obj, _Storage) else None


def write_tensor(
    file: HashedFile, shape: tuple[int, ...], dtype: torch.dtype, values: Iterable[memoryview], *, crc: bool = True
) -> None:
    """Append a contiguous tensor to ``file``, for torch.load; ``values`` are its bytes, piece by piece.

    An archive of records, each with its checksum behind it, as torch's own writer makes them. Without ``crc``, that of
    the values is 0, as after torch's ``set_crc32_options(False)``: torch.load does not look at it.
    """
    description = io.BytesIO()
    _Pickler(description, protocol=2).dump(_Tensor(shape, dtype))
    with zipfile.ZipFile(file, "w") as archive:  # type: ignore[arg-type]
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), description.getvalue())
        archive.writestr(zipfile.ZipInfo("archive/byteorder"), b"little")
        entry = zipfile.ZipInfo(_VALUES)
        padding = -(file.position + _LOCAL_HEADER) % _ALIGNMENT
        entry.extra = b"FB" + padding.to_bytes(2, "little") + bytes(padding)
        with archive.open(entry, "w", force_zip64=True) as member:
            assert file.position % _ALIGNMENT == 0
            for piece in values:
                if crc:
                    member.write(piece)
                else:
                    archive.fp.write(piece)
                    member._file_size += len(piece)
        archive.writestr(zipfile.ZipInfo("archive/version"), b"3\n")
