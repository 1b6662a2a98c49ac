"""The CPU layer's replacements have the bits of what they replace."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.mcore import ON_GPU

import megatron.core.models.common.embeddings.rope_utils as rope
import megatron.core.transformer.mlp as mlp

pytestmark = pytest.mark.skipif(ON_GPU, reason="the CPU layer is for machines without a GPU")
dtypes = st.sampled_from([torch.float32, torch.bfloat16])


class OneRank:
    """Stands for a group of one rank."""

    def size(self) -> int:
        return 1

    def rank(self) -> int:
        return 0


def assert_equal_with_gradient(found: torch.Tensor, expected: torch.Tensor, of: torch.Tensor) -> None:
    assert torch.equal(found, expected)
    weights = torch.randn_like(found)
    assert torch.equal(*(torch.autograd.grad(each, of, weights)[0] for each in (found, expected)))


def rotate(x: torch.Tensor, angles: torch.Tensor, mscale: float) -> torch.Tensor:
    """By the formula."""
    first, second = x.chunk(2, -1)
    cos, sin = ((function(angles) * mscale).to(x.dtype) for function in (torch.cos, torch.sin))
    return x * cos + torch.cat((-second, first), -1) * sin


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), dtypes, st.sampled_from([1.0, 0.5]))
def test_documents_are_rotated_together_as_one_by_one(lengths, dtype, mscale):
    tokens, half = torch.randn(sum(lengths), 2, 8, dtype=dtype, requires_grad=True), torch.randn(9, 1, 1, 4)
    angles = torch.cat((half, half), -1)
    ends = torch.tensor([0, *lengths]).cumsum(0)
    for _ in range(2):  # as the next layer does
        documents = [document.unsqueeze(1) for document in tokens.split(lengths)]
        expected = torch.cat([rotate(one, angles[: len(one)], mscale) for one in documents]).squeeze(1)
        found = rope._apply_rotary_pos_emb_thd(tokens, ends, angles, mscale=mscale, cp_group=OneRank())
        assert_equal_with_gradient(found, expected, tokens)


def test_angles_that_differ_have_no_memory_of_each_other():
    """The cache is of tensors, by what they are: not by their shape."""
    x = torch.randn(5, 1, 2, 8)
    for _ in range(4):
        half = torch.randn(5, 1, 1, 4)
        angles = torch.cat((half, half), -1)
        assert torch.equal(rope._apply_rotary_pos_emb_bshd(x, angles), rotate(x, angles, 1.0))


@given(st.integers(1, 5), st.integers(1, 40), dtypes)
def test_swiglu_is_that_of_single_operations(tokens, width, dtype):
    x = torch.randn(tokens, 1, 2 * width, dtype=dtype, requires_grad=True)
    gate, linear = x.chunk(2, -1)
    assert_equal_with_gradient(mlp.bias_swiglu_impl(x, None, False, False), F.silu(gate) * linear, x)
