"""Seeded packing: which documents share a sequence, and in which order sequences are seen.

The order is a pure function of (document lengths, sequence length, seed): no state but the number of consumed
sequences has to be saved, and every data-parallel size reads the same stream.
"""

import numpy as np

from megatron_rfft.common.errors import UserError

_OPEN_SEQUENCES = 64


def check_fit(lengths: np.ndarray, sequence_length: int) -> None:
    """Raise UserError if a document (tokens per document in ``lengths``) is longer than a sequence."""
    longest = int(lengths.max())
    if longest > sequence_length:
        raise UserError(
            f"the longest document has {longest} tokens, more than data.sequence_length {sequence_length}; raise it "
            "or tokenize shorter lengths"
        )


def shuffled_order(num_documents: int, seed: int, epoch: int) -> np.ndarray:
    """A seeded permutation of all documents, another one each epoch."""
    return np.random.default_rng([seed, epoch]).permutation(num_documents)


def curriculum_order(difficulty: np.ndarray, ramp: float, seed: int) -> np.ndarray:
    """An order in which harder documents enter later.

    ``difficulty`` (0 to 1 for each document) times ``ramp`` is the share of the pass that is over before such documents
    begin; from there on they are spread evenly, so that easy ones stay in the mixture to the end.
    """
    begin = ramp * difficulty
    return np.argsort(begin + (1 - begin) * np.random.default_rng(seed).random(len(difficulty)), kind="stable")


def pack(order: np.ndarray, lengths: np.ndarray, sequence_length: int) -> list[np.ndarray]:
    """Pack documents, taken in ``order``, into sequences of at most ``sequence_length`` tokens.

    Best fit over a bounded number of open sequences, so that the order is kept on the whole; every document appears
    exactly once. Returns one int32 array of document indices per sequence, in reading order.
    """
    rooms: list[int] = []
    opened: list[list[int]] = []
    sequences: list[list[int]] = []
    for document in order.tolist():
        size = int(lengths[document])
        fitting = [(room, slot) for slot, room in enumerate(rooms) if room >= size]
        if fitting:
            _, slot = min(fitting)
        elif len(rooms) < _OPEN_SEQUENCES:
            slot = len(rooms)
            rooms.append(sequence_length)
            opened.append([])
        else:  # close the fullest sequence to make room
            slot = rooms.index(min(rooms))
            sequences.append(opened[slot])
            rooms[slot], opened[slot] = sequence_length, []
        opened[slot].append(document)
        rooms[slot] -= size
    sequences.extend(opened)
    return [np.array(sequence, dtype=np.int32) for sequence in sequences]
