"""Packings of whole epochs on disk, under the hash of all that decides them, and proven before they are used.

Any process may make a file, and none waits for another: a file that is missing, damaged or cannot be written only
means that the packing is computed.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.files import atomic_write
from megatron_rfft.data.packing import PACKER_VERSION, Packing


def packing_key(**decisive: Any) -> str:
    """Name of a packing: the hash of JSON values that decide it, and of the packer's version."""
    text = json.dumps({"packer": PACKER_VERSION, **decisive}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class PackingCache:
    """A folder of ``packing-KEY.npy`` files: int32 ``[2, num_entries]``, documents and the sequence of each."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / f"packing-{key}.npy"

    def load(self, key: str, order: np.ndarray, lengths: np.ndarray, sequence_length: int) -> Packing | None:
        """The packing of the documents ``order``, or None where there is no sound one of exactly these documents."""
        try:
            table = np.load(self.path(key), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if table.dtype != np.int32 or table.shape != (2, len(order)):
            return None
        documents, sequence = table
        steps = np.diff(sequence, prepend=-1)
        if documents.min() < 0 or steps[0] != 1 or not np.isin(steps, (0, 1)).all():
            return None
        count = len(lengths)
        if documents.max() >= count or not np.array_equal(
            np.bincount(documents, minlength=count), np.bincount(order, minlength=count)
        ):
            return None
        packing = Packing(documents, np.concatenate([np.flatnonzero(steps), [len(documents)]]).astype(np.int64))
        return packing if packing.tokens(lengths).max() <= sequence_length else None

    def save(self, key: str, packing: Packing) -> None:
        """Write the packing, from the first process of a node only; where that fails, say so on stderr and go on."""
        if os.environ.get("LOCAL_RANK", "0") != "0":
            return
        sequence = np.repeat(np.arange(len(packing)), np.diff(packing.starts))
        try:
            with atomic_write(self.path(key), "wb") as handle:
                np.save(handle, np.stack([packing.documents, sequence]).astype(np.int32), allow_pickle=False)
        except OSError as error:
            print(f"data.cache {self.folder} takes no packing ({error.strerror}); going on without", file=sys.stderr)
