"""The arithmetic of low-rank updates of fused matrices, shared by training and conversion."""

from collections.abc import Sequence

import torch
from torch import Tensor

OVERSAMPLING = 8
"""Columns beyond the rank in the randomized SVD, which sharpen the last of those that are kept."""


def interleave(pieces: Sequence[Tensor], groups: int) -> Tensor:
    """Projections' outputs (last dimension) in the order of the fused matrix: ``[q..q k v] x groups``."""
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat([piece.unflatten(-1, (groups, -1)) for piece in pieces], dim=-1).flatten(-2)


def projections(weight: Tensor, outputs: Sequence[int], groups: int) -> list[Tensor]:
    """The projections with ``outputs`` rows in a fused matrix ``[sum(outputs), inputs]``: undoes interleave."""
    by_group = weight.unflatten(0, (groups, -1)).split([rows // groups for rows in outputs], dim=1)
    return [part.flatten(0, 1) for part in by_group]


def product(a: Tensor, b: Sequence[Tensor], groups: int) -> Tensor:
    """``B A`` of each projection, in fp32, as one fused matrix ``[outputs, inputs]``.

    ``a`` stacks the projections' A, ``[len(b) * rank, inputs]``; each of ``b`` is ``[outputs of one, rank]``.
    """
    parts = zip(b, a.float().chunk(len(b)), strict=True)
    return interleave([(up.float() @ down).T for up, down in parts], groups).T


def principal_factors(
    weight: Tensor, rank: int, iterations: int | None, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """B ``[outputs, rank]`` and A ``[rank, inputs]`` whose product is the best approximation of ``weight``.

    Each takes the square root of the singular values (Meng et al. 2024, PiSSA). With ``iterations``, by randomized
    subspace iteration (Halko et al. 2011) from the CPU ``generator``: products with a few columns more than ``rank``
    instead of the full decomposition.
    """
    weight = weight.float()
    if iterations is None:
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
    else:
        columns = min(rank + OVERSAMPLING, *weight.shape)
        test = torch.randn(weight.size(1), columns, generator=generator).to(weight.device)
        basis = torch.linalg.qr(weight @ test).Q
        for _ in range(iterations):
            basis = torch.linalg.qr(weight.T @ basis).Q
            basis = torch.linalg.qr(weight @ basis).Q
        left, values, right = torch.linalg.svd(basis.T @ weight, full_matrices=False)
        left = basis @ left
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root[:, None] * right[:rank]
