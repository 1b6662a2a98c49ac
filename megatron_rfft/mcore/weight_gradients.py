"""Weight gradients that are added to the fp32 buffer within the matrix product, without apex.

megatron-core asks apex's extension ``fused_weight_gradient_mlp_cuda`` for this; torch's own ``addmm`` does the same by
cuBLAS (BF16 inputs, FP32 result added in place). On a GPU it saves writing and reading each gradient once more.
"""

import importlib.util
import sys
import types

import torch

APEX_EXTENSION = "fused_weight_gradient_mlp_cuda"


def wgrad_gemm_accum_fp32(inputs: torch.Tensor, grad_output: torch.Tensor, main_grad: torch.Tensor) -> None:
    """Add ``grad_output.T @ inputs`` to ``main_grad`` in place.

    ``inputs`` [tokens, in] and ``grad_output`` [tokens, out] of one dtype, ``main_grad`` [out, in] in fp32.
    """
    if inputs.dtype == torch.float32:
        main_grad.addmm_(grad_output.t(), inputs)
    else:
        torch.addmm(main_grad, grad_output.t(), inputs, out_dtype=torch.float32, out=main_grad)


def wgrad_gemm_accum_fp16(inputs: torch.Tensor, grad_output: torch.Tensor, main_grad: torch.Tensor) -> None:
    """The same with a ``main_grad`` in the inputs' own 16 bits: the product is summed in fp32, and rounded once."""
    main_grad.addmm_(grad_output.t(), inputs)


def install() -> None:
    """Stand in for apex's extension where it is not installed; before megatron-core is imported, which looks for it."""
    if APEX_EXTENSION not in sys.modules and importlib.util.find_spec(APEX_EXTENSION) is None:
        module = types.ModuleType(APEX_EXTENSION, __doc__)
        module.wgrad_gemm_accum_fp32 = wgrad_gemm_accum_fp32
        module.wgrad_gemm_accum_fp16 = wgrad_gemm_accum_fp16
        sys.modules[APEX_EXTENSION] = module
