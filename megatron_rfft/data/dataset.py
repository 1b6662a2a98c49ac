"""The training data set: sequence ``i`` of an endless, seeded stream of packed documents."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megatron_rfft.common.errors import RankError, UserError
from megatron_rfft.data.blend import DataSource, check_alike, check_weights, epoch_documents, parse_sources
from megatron_rfft.data.documents import Documents
from megatron_rfft.data.packing import Packing, curriculum_order, one_each, pack, shuffled_order
from megatron_rfft.data.packing_cache import PackingCache, packing_key

_EPOCHS_KEPT = 2  # a batch may reach from one epoch into the next


@dataclass(frozen=True)
class PackedBatch:
    """A micro-batch of sequences or documents laid end to end; arrays are ``[num_tokens]`` but the last two."""

    tokens: np.ndarray
    """Input ids, int64; 0 in the padding."""
    labels: np.ndarray
    """The next token of the same document, int64; 0 where the loss mask is 0."""
    loss_mask: np.ndarray
    """float32: 1 where the label is a response or stop token, decided by position and never by token value."""
    position_ids: np.ndarray
    """int64, restarting in each document."""
    cells: np.ndarray
    """int32: which of ``PackedDataset.cells`` (task and length) the token's document belongs to; 0 in the padding."""
    cu_seqlens: np.ndarray
    """int32 ``[num_documents + 1]``: boundaries of the documents, their own padding included (what is left of a
    sequence is one more)."""
    max_seqlen: int
    """Tokens of the longest document."""


class TooLongError(UserError):
    """The longest ``document`` has more ``tokens`` than a sequence, whose length the config calls ``key``."""

    def __init__(self, document: str, tokens: int, limit: int, count: int, key: str = "data.sequence_length"):
        super().__init__(document, tokens, limit, count, key)
        self.document, self.tokens, self.limit, self.count, self.key = document, tokens, limit, count, key

    def __str__(self) -> str:
        return (
            f"{self.document} has {self.tokens} tokens, more than {self.key} {self.limit}; "
            f"raise it or tokenize shorter lengths ({self.count} documents do not fit)"
        )


class PackedDataset:
    """Sequences of ``sequence_length`` tokens from data ``sources``, in an order given by ``seed``.

    A source is a prefix, or a DataSource with a weight (data/blend.py). With ``packed=False`` each sequence is a single
    document, of any number of tokens up to ``sequence_length``. With ``curriculum`` > 0, the longest problems enter
    only after that share of the first pass (data/packing.py); later passes are shuffled. ``cache`` is a folder for the
    packings of epochs, or None. Each document takes up a multiple of ``document_multiple`` tokens: its padding is its
    own, and no target.

    Raises UserError if a data set is missing or damaged, if they do not go together (``blend.check_alike``), if a
    document is longer than a sequence, or if a weight takes no document.
    """

    def __init__(
        self,
        sources: Sequence[Path | str | DataSource],
        sequence_length: int,
        seed: int,
        packed: bool = True,
        curriculum: float = 0.0,
        cache: Path | str | None = None,
        *,
        document_multiple: int = 1,
    ):
        if not sources:
            raise UserError("no data set is given; set data.train to the prefix that tokenize_corpus.py wrote")
        self.sources = parse_sources(list(sources))
        self.parts = [Documents(source.path) for source in self.sources]
        check_alike(self.manifests)
        self.sequence_length, self.seed = sequence_length, seed
        self.packed, self.curriculum, self.document_multiple = packed, curriculum, document_multiple
        self.cache = None if cache is None else PackingCache(cache)
        self._counts = [len(part) for part in self.parts]
        check_weights(self.sources, self._counts)
        self._part_starts = np.cumsum([0, *self._counts])
        self.lengths = np.concatenate([part.lengths for part in self.parts])
        """Tokens of each document of the concatenated sources, int32 ``[num_documents]``."""
        self.padded_lengths = -(-self.lengths // document_multiple) * document_multiple
        """Tokens that each document takes up in a sequence, int32 ``[num_documents]``."""
        response_starts = np.concatenate([part.rows["response_start"] for part in self.parts])
        self._response_starts = np.maximum(response_starts, 1)  # nothing predicts a document's first token
        self._check_fit()
        self.cells, self._cells = _tasks_and_lengths(self.parts)
        """The (task, length) pairs that occur, sorted, and the number of each document's pair."""
        self._content: list[str] | None = None
        self._packings: dict[int, Packing] = {}
        self._epoch_starts = [0]

    @property
    def vocab_size(self) -> int:
        """Ids that the tokenizer knows."""
        return self.parts[0].vocab_size

    @property
    def ids_in_use(self) -> int:
        """The largest id that occurs, plus one."""
        return max(part.ids_in_use for part in self.parts)

    @property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """The data sets' manifests by path."""
        return {source.path: part.manifest for source, part in zip(self.sources, self.parts, strict=True)}

    @property
    def epoch_length(self) -> int:
        """Sequences of the first epoch."""
        return len(self.packing(0))

    def packing(self, epoch: int) -> Packing:
        """The sequences of an epoch, in the order in which they are seen."""
        if epoch not in self._packings:
            made = self._make_packing(epoch)
            while len(self._packings) >= _EPOCHS_KEPT:
                del self._packings[next(iter(self._packings))]
            self._packings[epoch] = made
        return self._packings[epoch]

    def documents_in(self, sequence: int) -> np.ndarray:
        """Indices of the documents in sequence number ``sequence`` of the stream; int32 ``[num_documents]``."""
        while self._epoch_starts[-1] <= sequence:
            self._epoch_starts.append(self._epoch_starts[-1] + len(self.packing(len(self._epoch_starts) - 1)))
        epoch = int(np.searchsorted(self._epoch_starts, sequence, side="right")) - 1
        return self.packing(epoch)[sequence - self._epoch_starts[epoch]]

    def batch(self, sequences: Sequence[int], tokens: int | None = None) -> PackedBatch:
        """The micro-batch made of the given sequence numbers, each padded to ``sequence_length``.

        With ``tokens`` they are laid end to end, and padded together to so many. ValueError if they have more.
        """
        rows = [self.documents_in(sequence) for sequence in sequences]
        if tokens is not None:
            rows = [np.concatenate([*rows, np.zeros(0, np.int32)])]
        row_tokens = self.sequence_length if tokens is None else tokens
        documents = np.concatenate(rows)
        lengths, room = (x[documents].astype(np.int64) for x in (self.lengths, self.padded_lengths))
        if tokens is not None and room.sum() > tokens:
            raise ValueError(f"documents of {room.sum()} tokens in a micro-batch of {tokens}")
        # Where each document begins: its row's start, and what lies before it in that row.
        per_row = np.array([len(row) for row in rows])
        before = np.concatenate([[0], np.cumsum(room)])
        row_starts = np.arange(len(rows)) * row_tokens
        begins = before[:-1] + np.repeat(row_starts - before[np.cumsum(per_row) - per_row], per_row)
        ends = begins + lengths
        total = len(rows) * row_tokens
        ids = self._tokens(documents, begins, ends, total)
        boundaries = np.unique(np.concatenate([row_starts, begins, begins + room, [total]]))
        positions = np.arange(total) - np.repeat(boundaries[:-1], np.diff(boundaries))
        # Position p predicts token p + 1: the first target is predicted at the last prompt token.
        edges = np.zeros(total + 1, np.int8)
        edges[begins + self._response_starts[documents] - 1] += 1
        edges[ends - 1] -= 1
        mask = np.cumsum(edges[:total], dtype=np.int8)
        labels = np.zeros(total, np.int64)
        np.multiply(ids[1:], mask[:-1], out=labels[:-1])
        pieces = np.diff(boundaries)
        cell_of = np.zeros(len(pieces), np.int32)
        cell_of[np.searchsorted(boundaries, begins)] = self._cells[documents]
        cells = np.repeat(cell_of, pieces)
        mask = mask.astype(np.float32)
        return PackedBatch(ids, labels, mask, positions, cells, boundaries.astype(np.int32), int(pieces.max()))

    def room(self, sequences: Sequence[int]) -> np.ndarray:
        """Tokens that the documents of each of the given sequences take up, int64 ``[len(sequences)]``."""
        return np.array([self.padded_lengths[self.documents_in(sequence)].sum() for sequence in sequences], np.int64)

    def attention_costs(self, sequences: Sequence[int]) -> np.ndarray:
        """What attention has to do for each of the given sequences, int64 ``[len(sequences)]``: the sum of its
        documents' squared lengths. All else takes equally long for sequences of one length.
        """
        squares = [self.padded_lengths[self.documents_in(sequence)].astype(np.int64) ** 2 for sequence in sequences]
        return np.array([square.sum() for square in squares], np.int64)

    def document_lengths(self, sequences: Sequence[int]) -> np.ndarray:
        """Tokens of each document in the given sequences; int32 ``[num_documents]``."""
        return self.lengths[np.concatenate([self.documents_in(sequence) for sequence in sequences])]

    def describe(self, sequence: int) -> dict[str, list[int]]:
        """Where a sequence comes from: by data set, the numbers of its documents (rfft show shows them)."""
        found: dict[str, list[int]] = {}
        for document in self.documents_in(sequence).tolist():
            part = int(np.searchsorted(self._part_starts, document, side="right")) - 1
            found.setdefault(self.sources[part].path, []).append(document - int(self._part_starts[part]))
        return found

    def _tokens(self, documents: np.ndarray, begins: np.ndarray, ends: np.ndarray, total: int) -> np.ndarray:
        """The documents' tokens laid out from ``begins`` to ``ends``; int64 ``[total]``."""
        tokens = np.zeros(total, np.int64)
        parts = np.searchsorted(self._part_starts, documents, side="right") - 1
        local = documents - self._part_starts[parts]
        for part, document, begin, end in np.stack([parts, local, begins, ends], axis=1).tolist():
            tokens[begin:end] = self.parts[part].tokens[document]
        # The embedding would fail without a word of the data, or on a GPU bring down the process.
        if tokens.max() >= self.vocab_size or tokens.min() < 0:
            place = int(np.flatnonzero((tokens >= self.vocab_size) | (tokens < 0))[0])
            which = int(np.searchsorted(begins, place, side="right")) - 1
            raise RankError(
                f"{self.sources[parts[which]].path} is damaged: document {local[which]} has the token {tokens[place]}, "
                f"which is not in the vocabulary of {self.vocab_size}; tokenize the corpus again"
            )
        return tokens

    def _make_packing(self, epoch: int) -> Packing:
        ramped = bool(self.curriculum) and epoch == 0
        documents = epoch_documents(self.sources, self._counts, self.seed, epoch)
        if ramped:
            difficulty = np.concatenate([_difficulty(part) for part in self.parts])[documents]
            order = documents[curriculum_order(difficulty, self.curriculum, self.seed)]
        else:
            order = documents[shuffled_order(len(documents), self.seed, epoch)]
        if not self.packed:
            return one_each(order)
        if self.cache is None:
            return pack(order, self.padded_lengths, self.sequence_length, keep_order=ramped)
        key = self._key(epoch, self.curriculum if ramped else 0.0)
        packing = self.cache.load(key, order, self.padded_lengths, self.sequence_length)
        if packing is None:
            packing = pack(order, self.padded_lengths, self.sequence_length, keep_order=ramped)
            self.cache.save(key, packing)
        return packing

    def _key(self, epoch: int, curriculum: float) -> str:
        """The cache's name for the packing of an epoch. It follows the data's content, and no path or date."""
        if self._content is None:
            self._content = [
                hashlib.sha256(part.lengths.tobytes() + part.rows.tobytes()).hexdigest() for part in self.parts
            ]
        return packing_key(
            documents=self._content,
            weights=[str(source.exact_weight) for source in self.sources],
            sequence_length=self.sequence_length,
            document_multiple=self.document_multiple,
            seed=self.seed,
            epoch=epoch,
            curriculum=curriculum,
        )

    def _check_fit(self) -> None:
        too_long = int(np.count_nonzero(self.padded_lengths > self.sequence_length))
        if not too_long:
            return
        longest = int(self.padded_lengths.argmax())
        part = int(np.searchsorted(self._part_starts, longest, side="right")) - 1
        local = longest - int(self._part_starts[part])
        row = self.parts[part].rows[local]
        task = f"{self.parts[part].tasks[row['task']]} at length {row['length']}"
        document = f"document {local} of {self.sources[part].path} ({task})"
        raise TooLongError(document, int(self.padded_lengths[longest]), self.sequence_length, too_long)


def _tasks_and_lengths(parts: Sequence[Documents]) -> tuple[list[tuple[str, int]], np.ndarray]:
    """The (task, length) pairs that occur, in order, and the pair of each document; int32 ``[num_documents]``."""
    tasks = sorted({task for part in parts for task in part.tasks})
    numbers = {task: number for number, task in enumerate(tasks)}
    keys = []
    for part in parts:
        task = np.array([numbers[name] for name in part.tasks], np.int64)[part.rows["task"]]
        keys.append(task << 16 | part.rows["length"])
    pairs, cells = np.unique(np.concatenate(keys), return_inverse=True)
    return [(tasks[pair >> 16], pair & 0xFFFF) for pair in pairs.tolist()], cells.astype(np.int32)


def _difficulty(part: Documents) -> np.ndarray:
    """Each document's problem length between the shortest (0) and the longest (1) of its task."""
    difficulty = np.zeros(len(part))
    for task in np.unique(part.rows["task"]):
        mine = part.rows["task"] == task
        lengths = part.rows["length"][mine].astype(float)
        difficulty[mine] = (lengths - lengths.min()) / max(np.ptp(lengths), 1.0)
    return difficulty
