"""What a GPU could do at best: the peak that model FLOPs utilization (MFU) is measured against."""

import torch

from megatron_rfft.mcore import ON_GPU

_BF16_PEAKS = {
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.4,
    "H200": 989.4,
    "H800 PCIe": 756.0,
    "H800": 989.4,
    "A100": 312.0,
    "A800": 312.0,
    "L40S": 362.0,
}
"""Dense bf16 TFLOP/s of NVIDIA's data sheets, by a part of the device's name; the first that fits."""


def peak_of(device_name: str) -> float | None:
    """The bf16 peak of a GPU in TFLOP/s; None for one that is not in the table."""
    return next((peak for part, peak in _BF16_PEAKS.items() if part in device_name), None)


def peak_tflops() -> float | None:
    """The bf16 peak of this machine's GPU; None on a CPU."""
    return peak_of(torch.cuda.get_device_name()) if ON_GPU else None
