"""Context parallelism: every token on one rank, in the pieces that megatron-core's own split has."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.mcore.context import all_order, rank_positions

documents = st.lists(st.integers(1, 12), min_size=1, max_size=8)


@settings(deadline=None)
@given(documents, st.sampled_from([1, 2, 3, 4]))
def test_every_token_lies_on_exactly_one_rank(pieces, size):
    lengths = torch.tensor(pieces) * 2 * size
    cu_seqlens = torch.cat([torch.zeros(1), lengths.cumsum(0)]).int()
    order = all_order(cu_seqlens, size)
    assert order.sort().values.tolist() == list(range(int(cu_seqlens[-1])))
    # Causal attention costs a token its position in its document: every rank pays the same.
    starts = torch.repeat_interleave(cu_seqlens[:-1].long(), lengths)
    work = torch.arange(len(starts)) - starts
    costs = {int(work[rank_positions(cu_seqlens, size, rank)].sum()) for rank in range(size)}
    assert len(costs) == 1


@pytest.mark.parametrize("size", [2, 4])
def test_the_pieces_are_megatron_cores(size):
    """Its split of one document's rotary positions, by its own function."""
    from megatron.core.models.common.embeddings.rope_utils import get_pos_emb_on_this_cp_rank

    class Group:
        def __init__(self, rank):
            self._rank = rank

        def size(self):
            return size

        def rank(self):
            return self._rank

    positions = torch.arange(32)
    for rank in range(size):
        theirs = get_pos_emb_on_this_cp_rank(positions, 0, Group(rank))
        assert rank_positions(torch.tensor([0, 32], dtype=torch.int32), size, rank).tolist() == theirs.tolist()
