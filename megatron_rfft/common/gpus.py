"""What NVIDIA's data sheets state of GPUs' dense BF16 peaks: the measure of MFU and of plans."""

_HOPPER = 989.4  # H100, H200 and H800 as SXM modules
_AMPERE = 312.0
BF16_PEAKS = {
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": _HOPPER,
    "H200": _HOPPER,
    "H800 PCIe": 756.0,
    "H800": _HOPPER,
    "A100": _AMPERE,
    "A800": _AMPERE,
    "L40S": 362.0,
}
"""Dense BF16 TFLOP/s, half of what data sheets print with 2:4 sparsity, by a part of the device's name."""


def bf16_peak(device_name: str) -> float | None:
    """The BF16 peak of a GPU in TFLOP/s by the first part that fits; None for one that is not in the table."""
    return next((peak for part, peak in BF16_PEAKS.items() if part in device_name), None)
