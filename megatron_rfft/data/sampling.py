"""Which part of a step a data-parallel rank reads: arithmetic on the number of consumed samples, and no other state."""

from collections.abc import Iterator

import numpy as np


def micro_batches(
    consumed_samples: int, costs: np.ndarray, micro_batch_size: int, rank: int, num_ranks: int
) -> Iterator[list[int]]:
    """Sequence numbers of each micro-batch of data-parallel ``rank``'s part of the next global batch.

    Over all ranks they are ``consumed_samples`` up to ``consumed_samples + len(costs)``, each once, whatever the number
    of ranks and the micro-batch size: sequence numbers run on over epochs, so that there is no tail to replay.
    ``costs`` (``[global_batch_size]``) say what each of them takes beside the others, see ``deal_sequences``.
    Raises ValueError if the global batch does not divide evenly (training/layout_check.py refuses that beforehand).
    """
    if len(costs) % (micro_batch_size * num_ranks):
        raise ValueError(f"{len(costs)} sequences do not divide into {num_ranks} x {micro_batch_size}")
    mine = (consumed_samples + deal_sequences(costs, num_ranks)[rank]).tolist()
    for start in range(0, len(mine), micro_batch_size):
        yield mine[start : start + micro_batch_size]


def deal_sequences(costs: np.ndarray, num_ranks: int) -> list[np.ndarray]:
    """Deal the sequences of a step out to ranks, as many to each, so that none has much more to do than the others.

    ``costs`` are int ``[num_sequences]``; each rank gets indices into them, in order. The most expensive sequences are
    dealt first, each to the rank with the least so far that still has room (Graham 1969). A step's gradients are sums,
    so who computes which part does not matter.
    """
    room = np.full(num_ranks, len(costs) // num_ranks)
    owners, loads = np.zeros(len(costs), np.int64), np.zeros(num_ranks, np.int64)
    for sequence in np.argsort(-np.asarray(costs, np.int64), kind="stable"):
        owners[sequence] = rank = int(np.where(room > 0, loads, np.iinfo(np.int64).max).argmin())
        loads[rank] += costs[sequence]
        room[rank] -= 1
    return [np.flatnonzero(owners == rank) for rank in range(num_ranks)]


def deal_documents(lengths: np.ndarray, capacity: int, multiple: int, batches: int) -> tuple[list[np.ndarray], int]:
    """Deal the documents of a step out to micro-batches of one size: which each gets, and how many tokens it has.

    ``lengths`` are tokens, int ``[num_documents]``. There are as few micro-batches as hold them, but a multiple of
    ``batches``; each gets indices into ``lengths``, in order, perhaps none. Its tokens, padding included, are a
    multiple of ``multiple``, and at most ``capacity``, which is one, too. The longest documents are dealt first, each
    to the emptiest micro-batch (Graham 1969). Raises ValueError if a document is longer than ``capacity``.
    """
    if capacity % multiple or max(lengths, default=0) > capacity:
        raise ValueError(f"documents of up to {max(lengths, default=0)} tokens, {capacity} of a multiple of {multiple}")
    count = -(-max(int(lengths.sum()), 1) // (capacity * batches)) * batches
    while (dealt := _longest_first(lengths, count))[1] > capacity:
        count += batches
    owners, fullest = dealt
    return [np.flatnonzero(owners == number) for number in range(count)], -(-max(fullest, 1) // multiple) * multiple


def _longest_first(lengths: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """The micro-batch of each document, int64 ``[num_documents]``, and the tokens of the fullest one."""
    owners, tokens = np.zeros(len(lengths), np.int64), np.zeros(count, np.int64)
    for document in np.argsort(-lengths.astype(np.int64), kind="stable"):
        owners[document] = emptiest = int(tokens.argmin())
        tokens[emptiest] += lengths[document]
    return owners, int(tokens.max())
