"""megatron-core, adapted to this machine: the only door to it for the rest of the package.

Importing this package installs the CPU layer where there is no GPU, stands in for apex's gradient kernel where there is
one, fixes the distributed optimizer where neither Transformer Engine nor apex is installed, then offers megatron-core's
names. A version bump is a change in here alone.
"""

import os
import warnings

import torch

from megatron_rfft.mcore import te_loading, warnings_log

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda") if ON_GPU else torch.device("cpu")

warnings_log.install()
warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")  # its calls, not the user's
warnings.filterwarnings("ignore", module=r"torch\.distributed\.checkpoint")
# megatron-core's sequence parallelism asks for it; a training has set it by its layout (training/environment.py).
os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "1")

WHY_NO_TE = te_loading.why_no_te() if ON_GPU else "this machine has no GPU"
"""Why Transformer Engine can't be used here, in one line; empty where it can."""
if ON_GPU:
    from megatron_rfft.mcore import weight_gradients

    weight_gradients.install()
else:
    from megatron_rfft.mcore import cpu

    cpu.install()

from megatron_rfft.mcore import loading, optimizer_fixes, optimizer_shards  # noqa: E402

from megatron.core import dist_checkpointing, parallel_state, tensor_parallel  # noqa: E402
from megatron.core.distributed import (  # noqa: E402
    DistributedDataParallel,
    DistributedDataParallelConfig,
    finalize_model_grads,
)
from megatron.core.extensions import transformer_engine as te_extension  # noqa: E402
from megatron.core.fp8_utils import is_first_last_bf16_layer  # noqa: E402
from megatron.core.models.common.embeddings.rotary_pos_embedding import RotaryEmbedding  # noqa: E402
from megatron.core.models.gpt import GPTModel  # noqa: E402
from megatron.core.num_microbatches_calculator import (  # noqa: E402
    init_num_microbatches_calculator,
    unset_num_microbatches_calculator,
)
from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer  # noqa: E402
from megatron.core.optimizer.clip_grads import clip_grad_by_total_norm_fp32  # noqa: E402
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler  # noqa: E402
from megatron.core.packed_seq_params import PackedSeqParams  # noqa: E402
from megatron.core.pipeline_parallel import get_forward_backward_func  # noqa: E402
from megatron.core.transformer import TransformerConfig  # noqa: E402
from megatron.core.transformer.module import Float16Module  # noqa: E402
from megatron.core.utils import get_te_version  # noqa: E402

HAVE_TE = not WHY_NO_TE and te_extension.HAVE_TE
"""Whether layers can be Transformer Engine's (with FP8 and fused kernels), or only megatron-core's local ones."""
TENorm = te_extension.TENorm
write_warnings = warnings_log.write_warnings


def te_version() -> str:
    """The release of Transformer Engine that is installed; empty without it."""
    return str(get_te_version()) if HAVE_TE else ""


if not ON_GPU:
    cpu.patch_imported()
optimizer_fixes.install()
optimizer_shards.install()
loading.install()

__all__ = [
    "DEVICE",
    "HAVE_TE",
    "ON_GPU",
    "WHY_NO_TE",
    "DistributedDataParallel",
    "DistributedDataParallelConfig",
    "Float16Module",
    "GPTModel",
    "OptimizerConfig",
    "OptimizerParamScheduler",
    "PackedSeqParams",
    "RotaryEmbedding",
    "TENorm",
    "TransformerConfig",
    "clip_grad_by_total_norm_fp32",
    "dist_checkpointing",
    "finalize_model_grads",
    "get_forward_backward_func",
    "get_megatron_optimizer",
    "init_num_microbatches_calculator",
    "is_first_last_bf16_layer",
    "parallel_state",
    "te_extension",
    "te_version",
    "tensor_parallel",
    "unset_num_microbatches_calculator",
    "write_warnings",
]
