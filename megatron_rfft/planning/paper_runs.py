"""The paper's two RF-pretraining runs, planned: what packing, FP8 and a sound layout should make of its GPU-hours."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from megatron_rfft.common.table import format_table
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.published import PUBLISHED
from megatron_rfft.planning.gpus import find_gpu
from megatron_rfft.planning.layout import workload_from_config
from megatron_rfft.planning.report import best
from megatron_rfft.planning.search import LayoutPlan, search
from megatron_rfft.planning.sources import resolve_model
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import config_from_dict

# Measured: `rfft tokenize --preset rf-pretrain` with Qwen2.5's tokenizer gives 299,511 documents of
# 729,493,562 tokens (2,436 each, the longest 24,781). Those of up to 16,384 tokens are 99.91 % of them:
SEQUENCE_LENGTH = 16384
DOCUMENT_TOKENS = 2421.4
"""Mean tokens of a document."""
WEIGHTED_TOKENS = 4221.9
"""The same, each document weighted by its tokens: what attention spans."""
DOCUMENTS = 256
"""The paper's documents per step."""
GLOBAL_BATCH = 40
"""Packed sequences per step: the least multiple of 8 with at least DOCUMENTS in it (at 99 % fill 268)."""


@dataclass(frozen=True)
class PaperRun:
    """A run of arXiv:2502.11525 and its model."""

    name: str
    model: ModelConfig
    steps: int
    gpus: int
    h800_hours: float


RUNS = (
    PaperRun("Qwen2.5-7B", PUBLISHED["qwen2.5-7b"], steps=800, gpus=8, h800_hours=144),
    PaperRun("Qwen2.5-32B", PUBLISHED["qwen2.5-32b"], steps=700, gpus=32, h800_hours=713.6),
)


def paper_config(run: PaperRun) -> TrainConfig:
    """The run with packed sequences and all parameters trained (the paper's 32B run trains PiSSA adapters)."""
    return config_from_dict(
        {
            "run": {"output": "runs/paper", "steps": run.steps},
            "model": run.model.as_dict(),
            "data": {"sequence_length": SEQUENCE_LENGTH},
            "batch": {"global_batch_size": GLOBAL_BATCH},
        }
    )


def paper_plans(gpu: str = "h100-80g") -> Iterator[tuple[PaperRun, LayoutPlan]]:
    """The fastest layout of each run on as many GPUs as the paper had, in BF16 and in FP8."""
    for run in RUNS:
        config = paper_config(run)
        model = resolve_model(config)
        for fp8 in ("none", "tensorwise"):
            work = replace(workload_from_config(config, WEIGHTED_TOKENS), fp8=fp8)
            yield run, best(search(config, model, work, run.gpus, find_gpu(gpu)))


def format_paper(gpu: str = "h100-80g") -> str:
    """The plans as a table."""
    rows = [
        [
            run.name,
            "BF16" if plan.work.fp8 == "none" else "FP8",
            str(plan.layout),
            f"{plan.work.tokens_per_step * plan.work.steps / 1e6:,.0f} M",
            f"{plan.time.total:.2f}",
            f"{plan.tokens_per_second_per_gpu:,.0f}",
            f"{plan.gpu_hours:.1f}",
            f"{run.h800_hours:.1f} H800-hours on {run.gpus}",
        ]
        for run, plan in paper_plans(gpu)
    ]
    header = ["all parameters", "", "layout", "tokens", "s/step", "tok/s/GPU", "GPU-hours", "the paper"]
    batch = f"{GLOBAL_BATCH} packed sequences of {SEQUENCE_LENGTH:,} tokens a step"
    return f"{format_table(header, rows)}\nestimates for {gpu}; {batch}"
