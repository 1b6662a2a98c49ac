"""Which sequences a data-parallel rank reads: arithmetic on the number of consumed samples, and no other state."""

from collections.abc import Iterator


def micro_batches(
    consumed_samples: int, global_batch_size: int, micro_batch_size: int, rank: int, num_ranks: int
) -> Iterator[range]:
    """Sequence numbers of each micro-batch of data-parallel ``rank``'s part of the next global batch.

    Over all ranks they are ``consumed_samples`` up to ``consumed_samples + global_batch_size``, each once, whatever the
    number of ranks and the micro-batch size: sequence numbers run on over epochs, so that there is no tail to replay.
    Raises ValueError if the global batch does not divide evenly (training/layout_check.py refuses that beforehand).
    """
    if global_batch_size % (micro_batch_size * num_ranks):
        raise ValueError(f"{global_batch_size} sequences do not divide into {num_ranks} x {micro_batch_size}")
    per_rank = global_batch_size // num_ranks
    first = consumed_samples + rank * per_rank
    for start in range(first, first + per_rank, micro_batch_size):
        yield range(start, start + micro_batch_size)
