"""Every layout of a run over given GPUs: refused, too large, or estimated and ranked."""

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.planning.checkpoints import CheckpointPlan, plan_checkpoints
from megatron_rfft.planning.gpus import GIB, GPUS_PER_NODE, Gpu
from megatron_rfft.planning.layout import Layout, Workload, with_layout
from megatron_rfft.planning.memory import RankMemory, rank_memory
from megatron_rfft.planning.speed import StepTime, flops_per_token, step_time, tokens_per_second_per_gpu
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.layout_check import check_layout

MAX_PIPELINE, MAX_VIRTUAL, MAX_MICRO_BATCH = 16, 10, 8
RESERVE = 0.10
"""Share of a GPU's memory that a plan leaves free: so far may its estimate be off (diagnostics/checks/memory.py)."""


def usable_bytes(gpu: Gpu) -> float:
    """What a rank may need by plan."""
    return (1 - RESERVE) * gpu.memory * GIB


@dataclass(frozen=True)
class LayoutPlan:
    """A layout with its estimated memory and time."""

    model: ModelConfig
    work: Workload
    layout: Layout
    gpu: Gpu
    memory: RankMemory
    """Of the fullest rank."""
    stage: int
    """The pipeline stage of that rank."""
    time: StepTime

    @property
    def fits(self) -> bool:
        """The fullest rank fits the GPU, with room for what the estimate may be off by."""
        return self.memory.total <= usable_bytes(self.gpu)

    @property
    def tokens_per_second_per_gpu(self) -> float:
        """Throughput of one GPU."""
        return tokens_per_second_per_gpu(self.work, self.layout, self.time)

    @property
    def tflops(self) -> float:
        """Model TFLOP/s of one GPU."""
        return self.tokens_per_second_per_gpu * flops_per_token(self.model, self.work) / 1e12

    @property
    def mfu(self) -> float:
        """Share of the dense BF16 peak, in FP8 too (which has no peak of its own: attention stays in BF16)."""
        return self.tflops / self.gpu.bf16

    @property
    def gpu_hours(self) -> float:
        """GPU-hours of all steps, without start, checkpoints and evaluation."""
        return self.time.total * self.work.steps * self.layout.gpus / 3600

    def checkpoints(self, file_system: float) -> CheckpointPlan:
        """What its checkpoints take, on a file system of so many GB/s."""
        return plan_checkpoints(self.model, self.work, self.layout, self.gpu, self.time.total, file_system)

    def reason(self) -> str:
        """Why it does not fit."""
        kind = self.memory.largest
        return (
            f"stage {self.stage} needs {self.memory.total / GIB:.1f} GiB, of which {kind} take "
            f"{getattr(self.memory, kind) / GIB:.1f}; {self.gpu.name} has {self.gpu.memory}, of which {RESERVE:.0%} "
            "are left free"
        )


def plan_layout(model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu) -> LayoutPlan:
    """Estimate one layout. Raises UserError if the GPU lacks the number format."""
    if work.fp8 != "none" and not gpu.fp8:
        raise UserError(f"{gpu.name} has no FP8; set precision.fp8 to none")
    stage, memory = _fullest(model, work, layout)
    return LayoutPlan(model, work, layout, gpu, memory, stage, step_time(model, work, layout, gpu))


def _fullest(model: ModelConfig, work: Workload, layout: Layout) -> tuple[int, RankMemory]:
    """The pipeline stage that needs most memory, and what it needs.

    The first holds most micro-batches and the embedding, the last the logits; both may have a layer less in FP8 than
    those between, of which the second holds most micro-batches.
    """
    candidates = sorted({0, min(1, layout.pipeline - 1), layout.pipeline - 1})
    return max(
        ((stage, rank_memory(model, work, layout, stage)) for stage in candidates), key=lambda pair: pair[1].total
    )


@dataclass
class Search:
    """What became of all layouts; of each (tensor, pipeline, context) the best variant."""

    ranked: list[LayoutPlan] = field(default_factory=list)
    """Those that fit, fastest first."""
    too_large: list[LayoutPlan] = field(default_factory=list)
    """Those of which no variant fits: the smallest one."""
    refused: dict[str, list[str]] = field(default_factory=dict)
    """Reason -> layouts that are impossible for it."""


def search(config: TrainConfig, model: ModelConfig, work: Workload, gpus: int, gpu: Gpu) -> Search:
    """Try every layout of ``config`` over ``gpus`` GPUs."""
    found = Search()
    for tensor, pipeline, context in _splits(gpus):
        plans: list[LayoutPlan] = []
        reasons = []
        for layout in _variants(model, tensor, pipeline, context, gpus):
            if reason := refusal(config, model, layout):
                reasons.append(reason)
            else:
                plans += [plan_layout(model, work, one, gpu) for one in _recomputing(model, work, layout, gpu)]
        fitting = [plan for plan in plans if plan.fits]
        if fitting:
            found.ranked.append(min(fitting, key=_rank))
        elif plans:
            found.too_large.append(min(plans, key=lambda plan: plan.memory.total))
        else:
            found.refused.setdefault(reasons[0], []).append(_name(tensor, pipeline, context))
    found.ranked.sort(key=_rank)
    found.too_large.sort(key=lambda plan: plan.memory.total)
    return found


def _rank(plan: LayoutPlan) -> tuple[float, int]:
    return round(plan.time.total, 4), plan.memory.total


def _name(tensor: int, pipeline: int, context: int) -> str:
    return f"TP{tensor} PP{pipeline}" + (f" CP{context}" if context > 1 else "")


def _splits(gpus: int) -> Iterator[tuple[int, int, int]]:
    """Tensor and context parallelism stay within a node, where the bandwidth is."""
    powers = [1, 2, 4, 8]
    for tensor, context, pipeline in itertools.product(powers, powers, range(1, MAX_PIPELINE + 1)):
        if tensor * context <= GPUS_PER_NODE and gpus % (tensor * pipeline * context) == 0:
            yield tensor, pipeline, context


def _variants(model: ModelConfig, tensor: int, pipeline: int, context: int, gpus: int) -> Iterator[Layout]:
    data = gpus // (tensor * pipeline * context)
    layers = model.num_layers // pipeline
    chunks = [size for size in range(1, MAX_VIRTUAL + 1) if layers % size == 0] if pipeline > 1 else [1]
    micro_batches = [2**power for power in range(MAX_MICRO_BATCH.bit_length())]
    for virtual, micro_batch in itertools.product(chunks, micro_batches):
        yield Layout(
            tensor=tensor,
            pipeline=pipeline,
            virtual_pipeline=virtual,
            context=context,
            data=data,
            sequence=tensor > 1,
            micro_batch=micro_batch,
        )


def _recomputing(model: ModelConfig, work: Workload, layout: Layout, gpu: Gpu) -> list[Layout]:
    """``layout`` as it is if it fits; else with as little recomputation of each kind as makes it fit, or all of it."""

    def fits(one: Layout) -> bool:
        return _fullest(model, work, one)[1].total <= usable_bytes(gpu)

    if fits(layout):
        return [layout]
    layers = layout.chunk_layers(model)
    found = []
    for kind in ("selective", "full"):
        some = [replace(layout, recompute=kind, recompute_layers=number) for number in range(1, layers)]
        found += [*some, replace(layout, recompute=kind)][bisect.bisect_left(some, True, key=fits) :][:1]
    return found


def refusal(config: TrainConfig, model: ModelConfig, layout: Layout) -> str | None:
    """Why ``layout`` is impossible for ``config``; None if it is possible."""
    try:
        check_layout(with_layout(config, layout), model, layout.gpus)
    except UserError as error:
        return str(error)
    return None
