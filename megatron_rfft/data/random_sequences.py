"""Random sequences in place of a data set: for checks of the machine, where what is learned does not matter."""

from collections.abc import Sequence

import numpy as np

from megatron_rfft.data.dataset import PackedBatch


class RandomSequences:
    """What a Trainer reads: sequence ``i`` is a function of ``i`` alone; documents have ``document_length`` tokens."""

    def __init__(self, sequence_length: int, vocab_size: int, document_length: int | None = None):
        self.sequence_length, self.vocab_size = sequence_length, vocab_size
        self.document_length = document_length or sequence_length

    @property
    def boundaries(self) -> np.ndarray:
        """Where documents of one sequence begin, and its end."""
        return np.append(np.arange(0, self.sequence_length, self.document_length), self.sequence_length)

    def attention_costs(self, sequences: Sequence[int]) -> np.ndarray:
        """What attention has to do for each of the given sequences: the same for all."""
        return np.zeros(len(sequences), np.int64)

    def batch(self, sequences: Sequence[int]) -> PackedBatch:
        """The micro-batch made of the given sequence numbers."""
        rows = [np.random.default_rng(s).integers(self.vocab_size, size=self.sequence_length) for s in sequences]
        tokens = np.concatenate(rows).astype(np.int64)
        starts = np.arange(len(rows)) * self.sequence_length
        ends = np.concatenate([start + self.boundaries[1:] for start in starts])
        bounds = np.concatenate([[0], ends])
        mask = np.ones(len(tokens), np.float32)
        mask[ends - 1] = 0  # nothing follows a document's last token
        labels = np.where(mask > 0, np.roll(tokens, -1), 0)
        positions = np.arange(len(tokens)) - np.repeat(bounds[:-1], np.diff(bounds))
        cells = np.zeros(len(tokens), np.int32)
        return PackedBatch(tokens, labels, mask, positions, cells, bounds.astype(np.int32), int(np.diff(bounds).max()))
