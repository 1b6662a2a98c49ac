"""The weight gradient that is added to the fp32 buffer, against autograd."""

import torch

from megatron_rfft.mcore.weight_gradients import wgrad_gemm_accum_fp16, wgrad_gemm_accum_fp32


def test_the_gradient_is_added_to_what_the_buffer_holds():
    generator = torch.Generator().manual_seed(0)
    x, dy, buffer = (torch.randn(shape, generator=generator) for shape in ((7, 5), (7, 3), (3, 5)))
    weight = torch.zeros(3, 5, requires_grad=True)
    (x @ weight.t()).backward(dy)
    expected = buffer + weight.grad
    wgrad_gemm_accum_fp32(x, dy, buffer)
    torch.testing.assert_close(buffer, expected)


def test_a_buffer_of_16_bits_is_rounded_once():
    generator = torch.Generator().manual_seed(0)
    x, dy, buffer = (torch.randn(shape, generator=generator).bfloat16() for shape in ((7, 5), (7, 3), (3, 5)))
    expected = (buffer.float() + dy.float().t() @ x.float()).bfloat16()
    wgrad_gemm_accum_fp16(x, dy, buffer)
    torch.testing.assert_close(buffer, expected, rtol=1e-2, atol=0)
