"""Rotation and SwiGLU on a CPU in fewer passes over memory, each with a gradient of its own.

They stand where a GPU has Transformer Engine's fused kernels, and their bits are those of the operations that
megatron-core calls one after another: every product and sum has the same operands.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


class Rotation(torch.autograd.Function):
    """``x * cos + rotate_half(x) * sin`` over the last dimension (Su et al. 2021, arXiv:2104.09864, in two halves)."""

    @staticmethod
    def forward(ctx, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """``cos`` and ``sin`` have the shape of ``x`` or one that broadcasts to it, and equal halves."""
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Of ``x``: turned back."""
        cos, sin = ctx.saved_tensors
        return _rotate(gradient, cos, -sin), None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = x * cos
    turned[..., :half] -= x[..., half:] * sin[..., :half]
    turned[..., half:] += x[..., :half] * sin[..., half:]
    return turned


@lru_cache(maxsize=2)
def angles_of_documents(freqs: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """The angles of each token: those of its place in its own document. All layers of a step ask for the same."""
    return torch.cat([freqs[:length] for length in lengths])


@lru_cache(maxsize=2)
def cos_and_sin(angles: Tensor, mscale: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """As megatron-core computes them, once for all layers of a step."""
    return (torch.cos(angles) * mscale).to(dtype), (torch.sin(angles) * mscale).to(dtype)


class SwiGLU(torch.autograd.Function):
    """``silu(x[..., :half]) * x[..., half:]`` (Shazeer 2020, arXiv:2002.05202)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """``[..., 2 * width]`` to ``[..., width]``."""
        gate, linear = x.chunk(2, -1)
        activated = F.silu(gate)
        ctx.save_for_backward(x, activated)
        return activated * linear

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        """Both halves are written where they belong: a concatenation would read and write them once more."""
        x, activated = ctx.saved_tensors
        of_x = torch.empty_like(x)
        (gate, linear), (of_gate, of_linear) = x.chunk(2, -1), of_x.chunk(2, -1)
        torch.ops.aten.silu_backward.grad_input(gradient * linear, gate, grad_input=of_gate)
        torch.mul(gradient, activated, out=of_linear)
        return of_x


def swiglu(x: Tensor, bias: Tensor | None, *gpu_options: bool) -> Tensor:
    """In the place of megatron-core's ``bias_swiglu_impl``, whose last arguments are about GPU memory."""
    return SwiGLU.apply(x if bias is None else x + bias)
