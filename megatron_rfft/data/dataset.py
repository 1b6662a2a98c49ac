"""The training data set: sequence ``i`` of an endless, seeded stream of packed documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.documents import Documents
from megatron_rfft.data.packing import check_fit, curriculum_order, pack, shuffled_order


@dataclass(frozen=True)
class PackedBatch:
    """A micro-batch of sequences laid end to end; arrays are ``[num_sequences * sequence_length]`` but the last two."""

    tokens: np.ndarray
    """Input ids, int64."""
    labels: np.ndarray
    """The next token of the same document, int64; 0 where the loss mask is 0."""
    loss_mask: np.ndarray
    """float32: 1 where the label is a response or stop token, decided by position and never by token value."""
    position_ids: np.ndarray
    """int64, restarting in each document."""
    cu_seqlens: np.ndarray
    """int32 ``[num_documents + 1]``: boundaries of the documents (padding at a sequence's end is one of its own)."""
    max_seqlen: int
    """Tokens of the longest document."""


class PackedDataset:
    """Sequences of ``sequence_length`` tokens from the data sets ``prefixes``, in an order given by ``seed``.

    ``packed=False`` puts each document alone in a (padded) sequence. With ``curriculum`` > 0, the longest problems
    enter only after that share of the first pass (data/packing.py); later passes are shuffled.
    """

    def __init__(
        self,
        prefixes: Sequence[Path | str],
        sequence_length: int,
        seed: int,
        packed: bool = True,
        curriculum: float = 0.0,
    ):
        if not prefixes:
            raise UserError("no data set is given; set data.train to the prefix that tokenize_corpus.py wrote")
        self.parts = [Documents(prefix) for prefix in prefixes]
        tokenizers = {part.manifest["inputs"]["tokenizer_sha256"] for part in self.parts}
        if len(tokenizers) > 1:
            raise UserError(
                f"the data sets {[str(p) for p in prefixes]} have different tokenizers; tokenize them alike"
            )
        self.sequence_length, self.seed = sequence_length, seed
        self.packed, self.curriculum = packed, curriculum
        self._part_starts = np.cumsum([0] + [len(part) for part in self.parts])
        self._lengths = np.concatenate([part.lengths for part in self.parts])
        check_fit(self._lengths, sequence_length)
        self._epochs: list[list[np.ndarray]] = []
        self._epoch_starts = [0]

    @property
    def vocab_size(self) -> int:
        """Ids that the tokenizer knows."""
        return self.parts[0].vocab_size

    @property
    def epoch_length(self) -> int:
        """Sequences of the first pass over all documents."""
        self.documents_in(0)
        return self._epoch_starts[1]

    def documents_in(self, sequence: int) -> np.ndarray:
        """Indices of the documents in sequence number ``sequence`` of the stream."""
        while self._epoch_starts[-1] <= sequence:
            order = self._order(len(self._epochs))
            packed = pack(order, self._lengths, self.sequence_length) if self.packed else list(order[:, None])
            self._epochs.append(packed)
            self._epoch_starts.append(self._epoch_starts[-1] + len(packed))
        epoch = int(np.searchsorted(self._epoch_starts, sequence, side="right")) - 1
        return self._epochs[epoch][sequence - self._epoch_starts[epoch]]

    def _order(self, epoch: int) -> np.ndarray:
        if epoch > 0 or not self.curriculum:
            return shuffled_order(len(self._lengths), self.seed, epoch)
        return curriculum_order(np.concatenate([_difficulty(part) for part in self.parts]), self.curriculum, self.seed)

    def _document(self, index: int) -> tuple[np.ndarray, int]:
        """Tokens and response start of a document of the concatenated parts."""
        part = int(np.searchsorted(self._part_starts, index, side="right")) - 1
        local = index - self._part_starts[part]
        return self.parts[part].tokens[local], int(self.parts[part].rows["response_start"][local])

    def batch(self, sequences: Sequence[int]) -> PackedBatch:
        """The micro-batch made of the given sequence numbers."""
        total = len(sequences) * self.sequence_length
        tokens, labels = np.zeros(total, np.int64), np.zeros(total, np.int64)
        positions, mask = np.zeros(total, np.int64), np.zeros(total, np.float32)
        boundaries = [0]
        for number, sequence in enumerate(sequences):
            start, end = number * self.sequence_length, (number + 1) * self.sequence_length
            for document in self.documents_in(sequence).tolist():
                ids, response_start = self._document(document)
                stop = start + len(ids)
                tokens[start:stop] = ids
                labels[start : stop - 1] = ids[1:]
                positions[start:stop] = np.arange(len(ids))
                # Position p predicts token p + 1: the first target is predicted at the last prompt token.
                mask[start + response_start - 1 : stop - 1] = 1.0
                start = stop
                boundaries.append(stop)
            if start < end:
                positions[start:end] = np.arange(end - start)
                boundaries.append(end)
        cu_seqlens = np.array(boundaries, np.int32)
        return PackedBatch(tokens, labels, mask, positions, cu_seqlens, int(np.diff(cu_seqlens).max()))


def _difficulty(part: Documents) -> np.ndarray:
    """Each document's problem length between the shortest (0) and the longest (1) of its task."""
    difficulty = np.zeros(len(part))
    for task in np.unique(part.rows["task"]):
        mine = part.rows["task"] == task
        lengths = part.rows["length"][mine].astype(float)
        difficulty[mine] = (lengths - lengths.min()) / max(np.ptp(lengths), 1.0)
    return difficulty
