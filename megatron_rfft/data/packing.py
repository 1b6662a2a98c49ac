"""Seeded packing: which documents share a sequence, and in which order sequences are seen.

The packing is a pure function of (order of the documents, their lengths, sequence length): no state but the number of
consumed sequences has to be saved, and every data-parallel size reads the same stream.
"""

from dataclasses import dataclass

import numpy as np

PACKER_VERSION = 2
"""Raised by whatever changes the sequences of an epoch: packings of other versions are not taken from a cache."""

WINDOW = 128
"""Sequences whose documents are packed together, so that the order is kept on the whole."""

_WINDOW_DOCUMENTS = 1 << 15  # of short documents, fewer sequences hold enough to choose from
_WINDOWS_PER_EPOCH = 32  # a curriculum keeps at least so many stages, however small the data set
_SPARE = 0.25  # share of a sequence left free in a window, so that its last sequence is not opened for a few documents


@dataclass(frozen=True)
class Packing:
    """The sequences of an epoch: sequence ``i`` holds ``documents[starts[i]:starts[i + 1]]``, in reading order."""

    documents: np.ndarray
    """int32 ``[num_entries]``: document indices."""
    starts: np.ndarray
    """int64 ``[num_sequences + 1]``: where each sequence begins in ``documents``."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, sequence: int) -> np.ndarray:
        """Documents of one sequence, int32 ``[num_documents]``. Raises IndexError outside of ``0 <= i < len``."""
        if not 0 <= sequence < len(self):
            raise IndexError(f"sequence {sequence} of {len(self)}")
        return self.documents[self.starts[sequence] : self.starts[sequence + 1]]

    def tokens(self, lengths: np.ndarray) -> np.ndarray:
        """Tokens in each sequence, int64 ``[num_sequences]``, from the documents' ``lengths``."""
        ends = np.concatenate([[0], np.cumsum(lengths[self.documents], dtype=np.int64)])
        return np.diff(ends[self.starts])

    def fill(self, lengths: np.ndarray, sequence_length: int) -> float:
        """Share of the sequences' tokens that is not padding."""
        return float(self.tokens(lengths).sum() / (max(len(self), 1) * sequence_length))


def shuffled_order(num_documents: int, seed: int, epoch: int) -> np.ndarray:
    """A seeded permutation of all documents, another one each epoch; int64 ``[num_documents]``."""
    return np.random.default_rng([seed, epoch]).permutation(num_documents)


def curriculum_order(difficulty: np.ndarray, ramp: float, seed: int) -> np.ndarray:
    """An order in which harder documents enter later; int64 ``[num_documents]``.

    ``difficulty`` (0 to 1 for each document) times ``ramp`` is the share of the pass that is over before such documents
    begin; from there on they are spread evenly, so that easy ones stay in the mixture to the end.
    """
    begin = ramp * difficulty
    return np.argsort(begin + (1 - begin) * np.random.default_rng(seed).random(len(difficulty)), kind="stable")


def one_each(order: np.ndarray) -> Packing:
    """Each document alone in a sequence, in ``order``."""
    return Packing(order.astype(np.int32), np.arange(len(order) + 1, dtype=np.int64))


def pack(order: np.ndarray, lengths: np.ndarray, sequence_length: int, *, keep_order: bool = False) -> Packing:
    """Pack documents, taken in ``order``, into sequences of at most ``sequence_length`` tokens.

    ``order`` (integers, ``[num_entries]``) indexes ``lengths`` (``[num_documents]``); each entry appears exactly once.
    The order is cut into windows of about 128 sequences (with ``keep_order``, of 1/32 of the epoch at most); best fit
    by decreasing length packs each. Sequences follow the place of their longest document in ``order``: that is as good
    as shuffled where the order is, whatever the number of documents in a sequence. No document may be longer than
    ``sequence_length`` (ValueError).
    """
    sizes = lengths[order].astype(np.int64)
    if not len(sizes):
        return one_each(order)
    if sizes.max() > sequence_length:
        raise ValueError(f"a document has {sizes.max()} tokens, more than the sequence's {sequence_length}")
    before = np.cumsum(sizes) - sizes
    window = before // _window_tokens(sizes, sequence_length, keep_order)
    by_size = np.lexsort((-sizes, window))
    slots = _best_fit(sizes[by_size], np.bincount(window), sequence_length)
    # The first entry in a slot is its longest document; its place in the order becomes the sequence's.
    keys = window[by_size] * (slots.max() + 1) + slots
    _, leaders, sequence = np.unique(keys, return_index=True, return_inverse=True)
    number = np.empty(len(leaders), np.int64)
    number[np.argsort(by_size[leaders])] = np.arange(len(leaders))
    in_order = np.empty(len(sizes), np.int64)
    in_order[by_size] = number[sequence]
    starts = np.concatenate([[0], np.cumsum(np.bincount(in_order))])
    return Packing(order[np.argsort(in_order, kind="stable")].astype(np.int32), starts)


def _window_tokens(sizes: np.ndarray, sequence_length: int, keep_order: bool) -> int:
    """Tokens of a window: so many that its documents fill whole sequences."""
    total = int(sizes.sum())
    sequences = min(WINDOW, max(8, _WINDOW_DOCUMENTS * total // (len(sizes) * sequence_length)))
    if keep_order:
        sequences = min(sequences, max(4, total // (sequence_length * _WINDOWS_PER_EPOCH)))
    return int((sequences - _SPARE) * sequence_length)


def _best_fit(sizes: np.ndarray, counts: np.ndarray, sequence_length: int) -> np.ndarray:
    """The slot in its window of each entry: best fit, in the given order, in all windows at once.

    ``sizes`` are the entries' tokens, window after window, decreasing in each; ``counts`` are entries per window.
    """
    slots = np.empty(len(sizes), np.int64)
    fullest = np.argsort(-counts, kind="stable")  # windows with entries left are the first ones at each step
    first = (np.cumsum(counts) - counts)[fullest]
    active = len(counts) - np.searchsorted(counts[fullest][::-1], np.arange(counts.max()), side="right")
    rows = np.arange(len(counts))
    rooms = np.full((len(counts), WINDOW + 4), sequence_length, np.int32)
    for step, windows in enumerate(active.tolist()):
        entries = first[:windows] + step
        taken = sizes[entries].astype(np.int32)
        while True:
            # As unsigned numbers, negative rooms are the largest: the minimum is the fullest slot that still fits.
            left = rooms[:windows] - taken[:, None]
            slot = left.view(np.uint32).argmin(axis=1)
            rest = left[rows[:windows], slot]
            if rest.min() >= 0:
                break
            rooms = np.concatenate([rooms, np.full_like(rooms, sequence_length)], axis=1)
        rooms[rows[:windows], slot] = rest
        slots[entries] = slot
    return slots
