"""AdamW and its learning-rate schedule, by megatron-core's optimizer and scheduler."""

from megatron_rfft.mcore import (
    DistributedDataParallel,
    OptimizerConfig,
    OptimizerParamScheduler,
    get_megatron_optimizer,
)
from megatron_rfft.training.config import TrainConfig


def build_optimizer(config: TrainConfig, model: list[DistributedDataParallel]):
    """The optimizer of ``model``: fp32 main weights and moments, split over data-parallel ranks if so configured."""
    section = config.optimizer
    bf16 = config.precision.dtype == "bf16"
    settings = OptimizerConfig(
        optimizer="adam",
        lr=section.lr,
        min_lr=section.min_lr,
        weight_decay=section.weight_decay,
        adam_beta1=section.beta1,
        adam_beta2=section.beta2,
        adam_eps=section.epsilon,
        clip_grad=section.clip_grad,
        bf16=bf16,
        params_dtype=model[0].config.params_dtype,
        use_distributed_optimizer=section.distributed,
        overlap_param_gather=config.parallel.overlap and section.distributed,
    )
    return get_megatron_optimizer(settings, model, use_gloo_process_groups=False)


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
