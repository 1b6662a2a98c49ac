"""Published training runs, and how far the estimates are from them."""

from dataclasses import dataclass, replace

from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.published import PUBLISHED as MODELS
from megatron_rfft.planning.gpus import GPUS
from megatron_rfft.planning.layout import Layout, Workload
from megatron_rfft.planning.speed import flops_per_token, step_time, tokens_per_second_per_gpu

BRIDGE = "Megatron-Bridge performance summary"
MEGATRON = "Megatron-LM README, Megatron-Core 0.8"


@dataclass(frozen=True)
class Published:
    """A published figure and the run behind it, as far as it is described."""

    name: str
    source: str
    model: ModelConfig
    work: Workload
    layout: Layout
    tokens: float
    """Tokens per second and GPU."""
    tuned: bool = False
    """What this project has only on request or not at all: user buffers for tensor-parallel traffic, and layers dealt
    out so that the stage with the output layer takes no longer than the others."""
    gpu: str = "h100-80g"
    fitted: bool = False
    """The efficiencies were fitted to it; the other rows are a test of them."""

    def estimate(self) -> float:
        """The estimated tokens per second and GPU."""
        work = replace(self.work, tensor_overlap=self.tuned)
        time = step_time(self.model, work, self.layout, GPUS[self.gpu], balanced_stages=self.tuned)
        return tokens_per_second_per_gpu(work, self.layout, time)

    @property
    def error(self) -> float:
        """Relative error of the estimate."""
        return self.estimate() / self.tokens - 1


def _llama(layers: int, hidden: int, ffn: int, heads: int) -> ModelConfig:
    return ModelConfig(layers, hidden, ffn, heads, 8, "llama", vocab_size=128256, tie_embeddings=False)


_LLAMA_8B = _llama(32, 4096, 14336, 32)
_LLAMA_70B = _llama(80, 8192, 28672, 64)
_LLAMA_405B = _llama(126, 16384, 53248, 128)


def _fp8(sequence: int, batch: int) -> Workload:
    return Workload(
        sequence_length=sequence, global_batch_size=batch, steps=1, fp8="tensorwise", fp8_first_last_bf16=False
    )


def _bf16(sequence: int, batch: int) -> Workload:
    return Workload(sequence_length=sequence, global_batch_size=batch, steps=1)


def _megatron(name: str, heads: int, hidden: int, layers: int, tensor: int, tflops: float):
    """A row of the README's table: GPT with an MLP of 4h, here the gated one of 8h/3 with the same FLOPs.

    Its TFLOP/s count the whole attention matrix, as the library did then; estimates count the causal half. The
    micro-batch is not stated; the four sequences of each replica are taken to be one. Rows with pipelines, whose
    interleaving is not stated, are left out; the 1.7B model is smaller than what the efficiencies are fitted to.
    """
    model = ModelConfig(layers, hidden, round(8 * hidden / 3), heads, heads, vocab_size=131072, tie_embeddings=False)
    work = _bf16(4096, 192)
    counted = flops_per_token(model, replace(work, document_tokens=2 * 4096))
    layout = Layout(tensor=tensor, data=48, sequence=tensor > 1, micro_batch=4)
    return Published(name, MEGATRON, model, work, layout, tflops * 1e12 / counted, tuned=True, fitted=layers > 24)


_PP8 = Layout(tensor=4, pipeline=8, virtual_pipeline=5, data=2, sequence=True)
_405B = Layout(tensor=8, pipeline=8, virtual_pipeline=8, context=2, data=8, sequence=True)
PUBLISHED = (
    Published(
        "Llama 3 8B FP8, 8 GPUs", f"{BRIDGE} 25.11", _LLAMA_8B, _fp8(8192, 128), Layout(data=8), 14451, fitted=True
    ),
    Published(
        "Llama 3 70B FP8, 64 GPUs, batch 128", f"{BRIDGE} 25.11", _LLAMA_70B, _fp8(8192, 128), _PP8, 1602, tuned=True
    ),
    Published(
        "Llama 3 70B FP8, 64 GPUs, batch 256",
        f"{BRIDGE} 26.02.01",
        _LLAMA_70B,
        _fp8(8192, 256),
        _PP8,
        1639,
        tuned=True,
        fitted=True,
    ),
    Published(
        "Llama 3 70B FP8, 32 GPUs",
        f"{BRIDGE} 26.06 (SFT)",
        _LLAMA_70B,
        _fp8(4096, 32),
        Layout(tensor=4, pipeline=4, virtual_pipeline=5, data=2, sequence=True),
        1638,
        tuned=True,
    ),
    Published(
        "Llama 3.1 405B FP8, 1,024 GPUs", f"{BRIDGE} 26.06", _LLAMA_405B, _fp8(8192, 1536), _405B, 326, tuned=True
    ),
    Published(
        "Llama 3 70B FP8 LoRA, 8 GPUs",
        f"{BRIDGE} 26.06 (LoRA)",
        _LLAMA_70B,
        replace(_fp8(4096, 32), adapter_rank=16),
        Layout(tensor=2, pipeline=4, virtual_pipeline=20, sequence=True),
        2643,
        tuned=True,
    ),
    Published(
        "Qwen3 8B BF16, 16 GPUs",
        "Megatron-Bridge verification card qwen3-8b (not tuned)",
        MODELS["qwen3-8b"],
        _bf16(4096, 1024),
        Layout(data=16),
        10456,
        fitted=True,
    ),
    Published(
        "Qwen2.5 7B BF16 LoRA, 1 GPU",
        "NeMo AutoModel performance summary",
        MODELS["qwen2.5-7b"],
        replace(_bf16(4096, 32), adapter_rank=16),
        Layout(),
        14110,
    ),
    _megatron("GPT 1.7B BF16, 48 GPUs", 16, 2048, 24, 1, 408.8),
    _megatron("GPT 7.1B BF16, 96 GPUs", 32, 4096, 30, 2, 465.9),
    _megatron("GPT 16B BF16, 192 GPUs", 48, 6144, 32, 4, 489.1),
    _megatron("GPT 32B BF16, 384 GPUs", 56, 7168, 48, 8, 459.6),
    Published(
        "Qwen2.5 32B BF16, H200, TP4 PP2 (a user's)",
        "Megatron-LM issue 1565: about 420 TFLOP/s; batch not stated, 4096 x 256 assumed",
        MODELS["qwen2.5-32b"],
        _bf16(4096, 256),
        Layout(tensor=4, pipeline=2, data=2, sequence=True),
        420e12 / flops_per_token(MODELS["qwen2.5-32b"], replace(_bf16(4096, 256), document_tokens=8192)),
        gpu="h200-141g",
    ),
)
