"""What a GPU could do at best: the peak that model FLOPs utilization (MFU) is measured against."""

import torch

from megatron_rfft.common.gpus import bf16_peak
from megatron_rfft.mcore import ON_GPU


def peak_tflops() -> float | None:
    """The bf16 peak of this machine's GPU; None on a CPU."""
    return bf16_peak(torch.cuda.get_device_name()) if ON_GPU else None
