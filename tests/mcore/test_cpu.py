"""The CPU layer's replacements have the numbers of what they replace."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.mcore import ON_GPU

import megatron.core.models.common.embeddings.rope_utils as rope

pytestmark = pytest.mark.skipif(ON_GPU, reason="the CPU layer is for machines without a GPU")


class OneRank:
    """Stands for a group of one rank."""

    def size(self) -> int:
        return 1

    def rank(self) -> int:
        return 0


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_documents_are_rotated_together_as_one_by_one(lengths):
    tokens, angles = torch.randn(sum(lengths), 2, 8, requires_grad=True), torch.randn(sum(lengths), 1, 1, 8)
    ends = torch.tensor([0, *lengths]).cumsum(0)
    found = rope._apply_rotary_pos_emb_thd(tokens, ends, angles, cp_group=OneRank())
    documents = [document.unsqueeze(1) for document in tokens.split(lengths)]
    rotated = [rope._apply_rotary_pos_emb_bshd(document, angles[: len(document)]) for document in documents]
    expected = torch.cat(rotated).squeeze(1)
    assert torch.equal(found, expected)
    weights = torch.randn_like(found)
    assert torch.equal(*(torch.autograd.grad((each * weights).sum(), tokens)[0] for each in (found, expected)))
