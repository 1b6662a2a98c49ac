"""How long a step takes: an estimate from operation counts, traffic, and a few efficiencies fitted to published runs.

    step = micro-batches x slowest stage + bubble + what of the data-parallel traffic is not hidden + optimizer

A stage's time is the sum of its matrix products, attention, memory-bound kernels and exposed traffic. The efficiencies
below were fitted to the rows of calibration.py, which `rfft plan --calibration` compares with the estimates.
"""

from dataclasses import dataclass, fields

from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.fp8 import RECIPES
from megatron_rfft.planning.gpus import GPUS_PER_NODE, Gpu
from megatron_rfft.planning.layout import Layout, Workload

# Fitted on H100s, all as shares of the data sheet's rates; taken over for the other GPUs.
MATMUL_BF16 = 0.58
MATMUL_FP8 = 0.61
ATTENTION = 0.45  # flash attention, of the BF16 peak, counting the causal half
HBM = 0.80
NVLINK = 0.75
NETWORK = 0.80
# A matrix product at (M, N, K) reaches the share M/(M+d) * N/(N+d) * K/(K+d) of the above.
HALF_BF16, HALF_FP8 = 160, 320
# Bytes through memory per token and layer, forward and backward: residual stream, norms and rotation; gate and product.
ELEMENTWISE_HIDDEN, ELEMENTWISE_FFN = 72, 18
# The same for the norms of Q and K, per entry of both: read and write forward, three times as much backward.
QK_NORM = 10
# For casting to FP8 each product's input and output gradient, with the transposed copies that Hopper's products need,
# and the pass for the maximum: per entry.
QUANTIZE = 7
LOSS_BYTES = 20  # per token and vocabulary entry: logits to fp32, softmax, gradient
OPTIMIZER_BYTES = 30  # per own parameter: read gradient, main weight, moments; write the latter three and the weight
# Tensor-parallel collectives per layer under sequence parallelism, in units of the hidden states: 4 forward, 6 back.
# 4 of the backward's run beside products (megatron-core with CUDA_DEVICE_MAX_CONNECTIONS=1). Transformer Engine's
# user-buffer overlap, which NVIDIA's runs have and ours on request, is worth one more by the fit.
TENSOR_EXPOSED, TENSOR_EXPOSED_OVERLAPPED = 6, 5
# Under context parallelism one of a document's 2 x CP pieces attends to two of them, or two to one, and flash attention
# computes whole tiles of 128 tokens: on average half a tile more on either side. An assumption, not fitted.
HALF_TILE = 64
RECOMPUTED_ATTENTION = 1 / 3.5  # flash attention's forward, relative to forward and backward
# Forward passes that recomputation adds: of attention with its matrices, of the MLP.
_AGAIN = {"none": (0, 0), "selective": (0, 1), "full": (1, 1)}


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step by cause."""

    matmul: float
    attention: float
    memory_bound: float
    """Norms, activations, residuals, cross entropy, casts to FP8."""
    tensor_traffic: float
    context_traffic: float
    pipeline_traffic: float
    bubble: float
    data_traffic: float
    optimizer: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(getattr(self, entry.name) for entry in fields(self))


def flops_per_token(model: ModelConfig, work: Workload) -> float:
    """Model FLOPs of a token, forward and backward: 6 (frozen weights: 4) per weight, and causal attention.

    The convention of NVIDIA's published figures: no recomputation, half of the attention matrix.
    """
    passes = 2 if work.adapter_rank else 3
    weights = model.num_layers * model.geometry.layer_weights
    head = model.padded_vocab_size * model.hidden_size
    return 2 * passes * (weights + head) + 6 * work.attended * model.query_size * model.num_layers


def _matmul_seconds(gpu: Gpu, fp8: bool, rows: float, n: float, k: float, passes: float) -> float:
    half, rate = (HALF_FP8, gpu.fp8 * MATMUL_FP8) if fp8 else (HALF_BF16, gpu.bf16 * MATMUL_BF16)
    share = rows / (rows + half) * n / (n + half) * k / (k + half)
    return 2 * rows * n * k * passes / (rate * 1e12 * share)


def step_time(
    model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu, *, balanced_stages: bool = False
) -> StepTime:
    """The estimated time of one step on ``gpu``s; ``balanced_stages``: the output layer makes no stage slower."""
    layer = _layer_time(model, work, layout, gpu)
    head = _head_time(model, work, layout, gpu)
    layers = model.num_layers / layout.pipeline
    # The last stage is the slowest: it has as many layers as the others, and the output layer.
    share = 1 / layout.pipeline if balanced_stages else 1.0
    stage = {name: layer[name] * layers + head.get(name, 0.0) * share for name in layer}
    micro_batches = layout.micro_batches(work)
    mean = sum(layer.values()) * layers + sum(head.values()) / layout.pipeline
    pipeline = _pipeline_seconds(model, work, layout, gpu)
    bubble = (layout.pipeline - 1) / layout.virtual_pipeline * (mean + pipeline)
    return StepTime(
        **{name: seconds * micro_batches for name, seconds in stage.items()},
        pipeline_traffic=pipeline * micro_batches,
        bubble=bubble,
        data_traffic=_data_seconds(model, work, layout, gpu, sum(stage.values())),
        optimizer=_optimizer_seconds(model, work, layout, gpu),
    )


def _rank_tokens(work: Workload, layout: Layout) -> float:
    """A rank's tokens of a micro-batch, before tensor parallelism splits them, on average over steps."""
    return layout.micro_batch_tokens(work) / layout.context


def _layer_time(model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu) -> dict[str, float]:
    """Seconds of one layer and micro-batch, forward and backward."""
    tensor = layout.tensor
    rows = _rank_tokens(work, layout)
    hidden, ffn = model.hidden_size, model.ffn_hidden_size
    linears = model.geometry.linears.values()
    again = layout.recomputed_layers(model) / layout.chunk_layers(model)
    attention_again, mlp_again = (passes * again for passes in _AGAIN[layout.recompute])
    passes = 2 if work.adapter_rank else 3
    products = [
        (*linear.on_rank(tensor), passes + (attention_again if "self_attention" in linear.path else mlp_again))
        for linear in linears
    ]
    matmul, cast = sum(_matmul_seconds(gpu, False, rows, *product) for product in products), 0.0
    if work.fp8 != "none":
        cost = RECIPES[work.fp8].cost
        share = max(0.0, 1 - 2 / model.num_layers) if work.fp8_first_last_bf16 else 1.0
        fp8 = sum(_matmul_seconds(gpu, True, rows, *product) for product in products) * cost
        matmul = share * fp8 + (1 - share) * matmul
        inside_mlp = 3 * ffn
        outside = sum(linear.rows + linear.inputs for linear in linears) - inside_mlp
        traffic = QUANTIZE * (outside * (1 + attention_again / 3) + inside_mlp * (1 + mlp_again / 3))
        cast = share * cost * rows / tensor * traffic / (gpu.hbm * 1e9 * HBM)
    scores = 6 * rows * work.attended * model.query_size / tensor / (gpu.bf16 * 1e12 * ATTENTION)
    scores *= 1 + attention_again * RECOMPUTED_ATTENTION
    if layout.context > 1:
        piece = work.attended / (2 * layout.context)
        scores *= (1 + HALF_TILE / piece) * (1 + HALF_TILE / (2 * piece))
    split = tensor if layout.sequence else 1
    elementwise = ELEMENTWISE_HIDDEN * hidden / split * (1 + attention_again / 3)
    elementwise += ELEMENTWISE_FFN * ffn / tensor * (1 + mlp_again / 3)
    if model.family.qk_norm:
        elementwise += QK_NORM * (model.query_size + model.key_size) / tensor * (1 + attention_again / 3)
    exposed = TENSOR_EXPOSED_OVERLAPPED if work.tensor_overlap else TENSOR_EXPOSED
    exposed += 2 * attention_again + 2 * mlp_again
    volume = exposed * rows * hidden * work.width * (tensor - 1) / tensor
    # Keys and values go once around the ring forward and twice (with their gradients) backward, beside the attention.
    keys = 3 * 2 * model.key_size / tensor * rows * work.width
    ring = keys * (layout.context - 1) / _bandwidth(gpu, layout.tensor, layout.context)
    return {
        "matmul": matmul,
        "attention": scores,
        "memory_bound": rows * elementwise / (gpu.hbm * 1e9 * HBM) + cast,
        "tensor_traffic": volume / (gpu.nvlink * 1e9 * NVLINK),
        "context_traffic": max(0.0, ring - scores),
    }


def _head_time(model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu) -> dict[str, float]:
    """Seconds of the output layer and the loss for one micro-batch."""
    rows = _rank_tokens(work, layout)
    vocabulary = model.padded_vocab_size / layout.tensor
    passes = 2 if work.adapter_rank else 3
    return {
        "matmul": _matmul_seconds(gpu, False, rows, vocabulary, model.hidden_size, passes),
        "memory_bound": rows * vocabulary * LOSS_BYTES / (gpu.hbm * 1e9 * HBM),
    }


def _bandwidth(gpu: Gpu, stride: int, members: int) -> float:
    """Bytes/s of a ring over ``members`` ranks that lie ``stride`` apart: NVLink in a node, else the network.

    A node's part of the ring can use the adapters of all its members.
    """
    if stride * members <= GPUS_PER_NODE:
        return gpu.nvlink * 1e9 * NVLINK
    inside = max(1, GPUS_PER_NODE // stride)
    return min(gpu.nvlink * NVLINK, gpu.network * NETWORK * inside) * 1e9


def _pipeline_seconds(model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu) -> float:
    """Exposed sends between stages for one micro-batch; interleaved schedules hide them."""
    if layout.pipeline == 1 or layout.virtual_pipeline > 1:
        return 0.0
    rows = _rank_tokens(work, layout)
    volume = 2 * rows * model.hidden_size * work.width / (layout.tensor if layout.sequence else 1)
    stride = layout.tensor * layout.shards
    link = gpu.nvlink * NVLINK if stride * layout.pipeline <= GPUS_PER_NODE else gpu.network * NETWORK
    return volume / (link * 1e9)


def _trained(model: ModelConfig, work: Workload, layout: Layout) -> float:
    """Trained parameters of the fullest stage."""
    if work.adapter_rank:
        sizes = sum(linear.rows + linear.inputs for linear in model.geometry.linears.values())
        return work.adapter_rank * sizes * model.num_layers / layout.pipeline / layout.tensor
    layers = model.num_layers / layout.pipeline * model.geometry.layer_weights
    ends = 1 if layout.pipeline > 1 or model.tie_embeddings else 2
    return (layers + ends * model.padded_vocab_size * model.hidden_size) / layout.tensor


def _data_seconds(model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu, micro_batch: float) -> float:
    """Exposed time of reducing gradients and gathering parameters; overlap hides it behind one micro-batch."""
    shards = layout.shards
    if shards == 1:
        return 0.0
    volume = _trained(model, work, layout) * (work.gradient_width + work.width) * (shards - 1) / shards
    seconds = volume / _bandwidth(gpu, layout.tensor, shards)
    return max(0.0, seconds - micro_batch) if work.overlap else seconds


def _optimizer_seconds(model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu) -> float:
    """Norm and update of the own shard, and zeroing all gradients."""
    trained = _trained(model, work, layout)
    own = trained / layout.shards if work.distributed_optimizer else trained
    return (own * (OPTIMIZER_BYTES + 4) + trained * work.gradient_width) / (gpu.hbm * 1e9 * HBM)


def tokens_per_second_per_gpu(work: Workload, layout: Layout, time: StepTime) -> float:
    """Throughput of one GPU."""
    return work.tokens_per_step / time.total / layout.gpus
