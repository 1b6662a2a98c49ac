"""Context parallelism over packed documents: which tokens lie on which rank.

Each document is cut into ``2 * size`` equal pieces; rank ``r`` holds pieces ``r`` and ``2 * size - 1 - r``, so that
causal attention costs every rank the same. Transformer Engine and megatron-core's rotary positions expect exactly this.
"""

import torch
from torch import Tensor


def rank_positions(cu_seqlens: Tensor, size: int, rank: int) -> Tensor:
    """Positions, in the whole micro-batch, of the tokens that ``rank`` of ``size`` holds; int64 ``[tokens / size]``.

    ``cu_seqlens`` (int32 ``[num_documents + 1]``) are boundaries of documents, each a multiple of ``2 * size`` tokens.
    """
    starts, lengths = cu_seqlens[:-1].long(), cu_seqlens.diff().long()
    pieces = lengths // (2 * size)
    first = torch.stack([starts + rank * pieces, starts + (2 * size - 1 - rank) * pieces], dim=1).flatten()
    counts = pieces.repeat_interleave(2)
    before = counts.cumsum(0) - counts
    return (first - before).repeat_interleave(counts) + torch.arange(int(counts.sum()), device=cu_seqlens.device)


class _AllToAll(torch.autograd.Function):
    """Piece ``i`` of the first axis goes to rank ``i``; the gradient comes back the same way."""

    @staticmethod
    def forward(ctx, tensor: Tensor, group) -> Tensor:
        ctx.group = group
        return _exchange(tensor, group)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return _exchange(gradient, ctx.group), None


def _exchange(tensor: Tensor, group) -> Tensor:
    received = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    torch.distributed.all_to_all_single(received, tensor.contiguous(), group=group)
    return received


def all_order(cu_seqlens: Tensor, size: int) -> Tensor:
    """Positions of the tokens of all ranks, rank after rank; int64 ``[tokens]``, a permutation."""
    return torch.cat([rank_positions(cu_seqlens, size, rank) for rank in range(size)])


def tokens_to_heads(tensor: Tensor, order: Tensor, group) -> Tensor:
    """``[tokens / size, heads, dim]`` of this rank's tokens -> ``[tokens, heads / size, dim]`` in the natural order."""
    tokens, heads, dim = tensor.shape
    size = group.size()
    parts = tensor.reshape(tokens, size, heads // size, dim).transpose(0, 1)
    gathered = _AllToAll.apply(parts, group).reshape(size * tokens, heads // size, dim)
    return gathered[order.argsort()]


def heads_to_tokens(tensor: Tensor, order: Tensor, group) -> Tensor:
    """The inverse of :func:`tokens_to_heads`."""
    tokens, heads, dim = tensor.shape
    size = group.size()
    parts = tensor[order].reshape(size, tokens // size, heads, dim)
    return _AllToAll.apply(parts, group).transpose(0, 1).reshape(tokens // size, size * heads, dim)
