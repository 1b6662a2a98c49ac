"""AdamW and its learning-rate schedule, by megatron-core's optimizer and scheduler."""

from collections.abc import Callable

import torch

from megatron_rfft.mcore import (
    DistributedDataParallel,
    OptimizerConfig,
    OptimizerParamScheduler,
    clip_grad_by_total_norm_fp32,
    get_megatron_optimizer,
)
from megatron_rfft.training.config import TrainConfig


def build_optimizer(config: TrainConfig, model: list[DistributedDataParallel]):
    """The optimizer of ``model``: fp32 main weights and moments, split over data-parallel ranks if so configured."""
    settings = optimizer_settings(config, model[0].config.params_dtype)
    return get_megatron_optimizer(settings, model, use_gloo_process_groups=False)


def optimizer_settings(config: TrainConfig, params_dtype: torch.dtype) -> OptimizerConfig:
    """What megatron-core is told of the optimizer of a model whose parameters are in ``params_dtype``."""
    section = config.optimizer
    return OptimizerConfig(
        optimizer="adam",
        lr=section.lr,
        min_lr=section.min_lr,
        weight_decay=section.weight_decay,
        adam_beta1=section.beta1,
        adam_beta2=section.beta2,
        adam_eps=section.epsilon,
        clip_grad=section.clip_grad,
        bf16=config.precision.dtype == "bf16",
        params_dtype=params_dtype,
        use_distributed_optimizer=section.distributed,
        overlap_param_gather=config.parallel.overlap and section.distributed,
    )


@torch.no_grad()
def update_weights(optimizer, accepts: Callable[[float], bool]) -> tuple[float, bool]:
    """What ``optimizer.step()`` does, if ``accepts(gradient norm)``; the norm, and whether it was done.

    megatron-core has no place to ask between the norm and the update. The answer must be the same on every rank.
    """
    optimizer.prepare_grads()
    norm = float(optimizer.get_grad_norm())
    if not accepts(norm):
        return norm, False
    for part in getattr(optimizer, "chained_optimizers", [optimizer]):
        if part.config.clip_grad > 0 and not getattr(part, "is_stub_optimizer", False) and part.get_parameters():
            decoupled = part.config.use_precision_aware_optimizer_no_fp8_or_ds_fp8
            clip_grad_by_total_norm_fp32(part.get_parameters(), part.config.clip_grad, norm, decoupled)
    optimizer.step_with_ready_grads()
    return norm, True


def build_scheduler(config: TrainConfig, optimizer) -> OptimizerParamScheduler:
    """Warm-up, then decay over the rest of the run; advanced in consumed sequences."""
    section, batch = config.optimizer, config.batch.global_batch_size
    return OptimizerParamScheduler(
        optimizer,
        init_lr=0.0,
        max_lr=section.lr,
        min_lr=section.min_lr,
        lr_warmup_steps=section.warmup_steps * batch,
        lr_decay_steps=config.run.steps * batch,
        lr_decay_style=section.schedule,
        start_wd=section.weight_decay,
        end_wd=section.weight_decay,
        wd_incr_steps=config.run.steps * batch,
        wd_incr_style="constant",
        use_checkpoint_opt_param_scheduler=False,
        override_opt_param_scheduler=True,
    )
