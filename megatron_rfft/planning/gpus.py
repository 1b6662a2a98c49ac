"""The GPUs that a plan can be made for, with what their makers state of them."""

from dataclasses import dataclass

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.gpus import BF16_PEAKS

GIB = 2**30


@dataclass(frozen=True)
class Gpu:
    """One GPU of a node of eight, joined by NVLink, each with its own network adapter."""

    name: str
    memory: float
    """GiB that CUDA can allocate (less than the label says: 80 GB is 79.1 GiB on an H100)."""
    bf16: float
    """Dense BF16 peak in TFLOP/s."""
    fp8: float
    """Dense FP8 peak in TFLOP/s; 0: it has none."""
    hbm: float
    """Memory bandwidth in GB/s."""
    nvlink: float
    """NVLink bandwidth of one direction in GB/s: half of what data sheets print."""
    network: float
    """Bandwidth of one direction of the GPU's share of the network in GB/s."""
    host: float
    """Bandwidth of one direction of the link to the host in GB/s."""


# Memory: "total capacity" in torch's out-of-memory messages on such machines. Rates: NVIDIA's data sheets of the H100
# (SXM5), H200 and A100 (SXM4, 80 GB); the H800 is an H100 with 400 GB/s of NVLink instead of 900.
# Network: one ConnectX-7 of 400 Gb/s for each GPU (DGX H100 and H200), one ConnectX-6 of 200 Gb/s (DGX A100).
# Host: PCIe 5.0 x16 (Hopper), PCIe 4.0 x16 (Ampere).
GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("h100-80g", memory=79.1, bf16=BF16_PEAKS["H100"], fp8=1978.9, hbm=3350, nvlink=450, network=50, host=64),
        Gpu("h200-141g", memory=139.8, bf16=BF16_PEAKS["H200"], fp8=1978.9, hbm=4800, nvlink=450, network=50, host=64),
        Gpu("h800-80g", memory=79.1, bf16=BF16_PEAKS["H800"], fp8=1978.9, hbm=3350, nvlink=200, network=50, host=64),
        Gpu("a100-80g", memory=79.1, bf16=BF16_PEAKS["A100"], fp8=0, hbm=2039, nvlink=300, network=25, host=32),
    )
}

GPUS_PER_NODE = 8


def find_gpu(name: str) -> Gpu:
    """The GPU called ``name``. Raises UserError listing those known."""
    if name not in GPUS:
        raise UserError(f"unknown GPU {name!r}; known: {', '.join(GPUS)}")
    return GPUS[name]
