"""A plan in words: tables for people, plain values for scripts."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.table import format_table
from megatron_rfft.planning.calibration import PUBLISHED
from megatron_rfft.planning.checkpoints import NOTICE
from megatron_rfft.planning.gpus import GIB, GPUS_PER_NODE
from megatron_rfft.planning.memory import RankKind
from megatron_rfft.planning.rank_process import ConstructedRank
from megatron_rfft.planning.search import LayoutPlan, Search
from megatron_rfft.planning.speed import flops_per_token

_TIME_BASIS = {
    "matmul": "FLOPs of this rank's shapes / (data sheet x fitted share, less for narrow shapes)",
    "attention": "FLOPs of the causal half within documents / (BF16 peak x fitted share)",
    "memory_bound": "bytes of norms, gate, loss and FP8 casts / memory bandwidth",
    "tensor_traffic": "bytes of the collectives that do not run beside a product / NVLink",
    "context_traffic": "keys and values around the ring, beyond what attention hides",
    "pipeline_traffic": "hidden states between stages; interleaving hides them",
    "bubble": "(PP - 1) / VPP micro-batches",
    "data_traffic": "fp32 gradients and BF16 parameters, beyond one micro-batch's time",
    "optimizer": "bytes of the own shard / memory bandwidth",
}
_MEMORY_BASIS = {
    "parameters": "exact, with padding",
    "gradients": "exact, fp32",
    "optimizer": "exact, fp32 weights and moments",
    "fp8_weights": "exact, rows and columns of each weight in FP8",
    "activations": "formula for fused layers and flash attention",
    "logits": "BF16 logits and fp32 softmax",
    "workspace": "backward pass of one layer",
    "overhead": "assumed: CUDA, NCCL, libraries 4 GiB; 5 % gaps",
}


def sbatch_line(config: Path | str, gpus: int) -> str:
    """The command that submits the run."""
    return f"sbatch --nodes {-(-gpus // GPUS_PER_NODE)} slurm/train.sbatch {config}"


def format_memory(kinds: Sequence[RankKind], built: Sequence[ConstructedRank] = ()) -> str:
    """GiB of every distinct rank, with what was constructed below each."""
    names = list(_MEMORY_BASIS)
    constructed = {one.rank: one for one in built}
    rows = []
    for kind in kinds:
        values = [f"{getattr(kind.memory, name) / GIB:.2f}" for name in names]
        rows.append([f"{kind.rank} (stage {kind.stage})", str(kind.ranks), *values, f"{kind.memory.total / GIB:.2f}"])
        if one := constructed.get(kind.rank):
            exact = [f"{value / GIB:.2f}" for value in (one.parameters, one.gradients, one.optimizer)]
            bound = "" if one.activations is None else f"{one.activations / GIB:.2f}*"
            rows.append(["  constructed", "", *exact, "", bound, "", "", "", ""])
    table = format_table(["rank", "alike", *(name.replace("_", " ") for name in names), "total GiB"], rows)
    notes = "; ".join(f"{name.replace('_', ' ')}: {basis}" for name, basis in _MEMORY_BASIS.items())
    star = "\n* of one micro-batch through unfused layers: an upper bound for one" if constructed else ""
    return f"{table}\n{notes}{star}"


def format_time(plan: LayoutPlan) -> str:
    """Seconds of a step by cause."""
    rows = [
        [name.replace("_", " "), f"{value:.3f}", f"{value / plan.time.total:.1%}", _TIME_BASIS[name]]
        for name, value in dataclasses.asdict(plan.time).items()
        if value
    ]
    rows.append(["step", f"{plan.time.total:.3f}", "", ""])
    return format_table(["", "seconds", "share", "basis"], rows)


def format_summary(plan: LayoutPlan) -> str:
    """The figures that one plans with, on three lines."""
    work = plan.work
    tokens = work.tokens_per_step * work.steps
    return (
        f"{plan.layout}: {plan.time.total:.2f} s a step, {plan.tokens_per_second_per_gpu:,.0f} tokens/s/GPU, "
        f"{plan.tflops:.0f} TFLOP/s/GPU (MFU {plan.mfu:.1%} of {plan.gpu.bf16:.0f} BF16)\n"
        f"{work.steps:,} steps of {work.tokens_per_step:,} tokens ({tokens / 1e6:,.1f} million in all): "
        f"{plan.time.total * work.steps / 3600:.2f} hours on {plan.layout.gpus} GPUs, {plan.gpu_hours:.1f} GPU-hours\n"
        f"fullest rank {plan.memory.total / GIB:.1f} of {plan.gpu.memory} GiB"
    )


def format_checkpoints(plan: LayoutPlan, file_system: float) -> str:
    """What checkpoints take of hosts, time and the file system."""
    found, ranks = plan.checkpoints(file_system), plan.layout.gpus
    last = f"after a signal the last one is there in {found.signal_seconds:.0f} s, "
    if found.fits_notice:
        last += f"of the {NOTICE} s that slurm/train.sbatch has"
    else:
        enough = math.ceil(found.signal_seconds / 60 + 1) * 60
        last += f"but slurm/train.sbatch has {NOTICE} s: submit it with --signal=B:USR1@{enough}"
    rank, node = f"{found.rank_bytes / 1e9:.2f} GB", f"{found.node_bytes / 1e9:.1f} GB"
    return (
        f"checkpoints of {found.bytes / 1e9:,.1f} GB: each of {ranks} ranks writes up to {rank}, from {node} of memory "
        f"a node\ntraining stands still for {found.blocked_seconds:.1f} s (at half of the link to the host); "
        f"at {file_system:g} GB/s one is saved in {found.save_seconds:.0f} s, and resumed from in "
        f"{found.resume_seconds:.0f} s\n{last}"
    )


def format_search(found: Search, top: int) -> str:
    """The ranked layouts, and what became of the others."""
    rows = [
        [
            str(plan.layout),
            f"{plan.time.total:.2f}",
            f"{plan.tokens_per_second_per_gpu:,.0f}",
            f"{plan.mfu:.1%}",
            f"{plan.gpu_hours:.1f}",
            f"{plan.memory.total / GIB:.1f}",
            "",
        ]
        for plan in found.ranked[:top]
    ]
    lines = [format_table(["layout", "s/step", "tok/s/GPU", "MFU", "GPU-hours", "GiB", ""], rows)]
    if len(found.ranked) > top:
        lines.append(f"and {len(found.ranked) - top} slower ones (--top)")
    if found.too_large:
        lines.append("\ndo not fit, in any variant:")
        lines += [f"  {plan.layout}: {plan.reason()}" for plan in found.too_large[:top]]
    if found.refused:
        lines.append("\nimpossible:")
        lines += [f"  {', '.join(layouts)}: {reason}" for reason, layouts in found.refused.items()]
    return "\n".join(lines)


def format_calibration() -> str:
    """Published runs beside their estimates."""
    rows = [
        [
            run.name,
            str(run.layout),
            f"{run.tokens:,.0f}",
            f"{run.estimate():,.0f}",
            f"{run.error:+.1%}",
            "fitted" if run.fitted else "held out",
            run.source,
        ]
        for run in PUBLISHED
    ]
    return format_table(["run", "layout", "published", "estimate", "error", "", "source (tokens/s/GPU)"], rows)


def plan_values(plan: LayoutPlan, file_system: float) -> dict[str, Any]:
    """Plain values of a plan."""
    return {
        "layout": dataclasses.asdict(plan.layout),
        "gpu": plan.gpu.name,
        "step_seconds": plan.time.total,
        "step_seconds_by_cause": dataclasses.asdict(plan.time),
        "tokens_per_step": plan.work.tokens_per_step,
        "tokens_per_second_per_gpu": plan.tokens_per_second_per_gpu,
        "model_flops_per_token": flops_per_token(plan.model, plan.work),
        "model_tflops_per_gpu": plan.tflops,
        "mfu": plan.mfu,
        "gpu_hours": plan.gpu_hours,
        "memory_bytes": dataclasses.asdict(plan.memory) | {"total": plan.memory.total},
        "fits": plan.fits,
        "checkpoint": dataclasses.asdict(plan.checkpoints(file_system)),
    }


def search_values(found: Search, top: int, file_system: float) -> dict[str, Any]:
    """Plain values of a search."""
    return {
        "ranked": [plan_values(plan, file_system) for plan in found.ranked[:top]],
        "too_large": [{"layout": str(plan.layout), "reason": plan.reason()} for plan in found.too_large],
        "refused": found.refused,
    }


def best(found: Search) -> LayoutPlan:
    """The fastest layout that fits. Raises UserError if there is none."""
    if not found.ranked:
        reasons = [plan.reason() for plan in found.too_large[:1]] or list(found.refused)[:1]
        raise UserError(f"no layout fits ({reasons[0]}); give more --gpus, or a larger --gpu")
    return found.ranked[0]
