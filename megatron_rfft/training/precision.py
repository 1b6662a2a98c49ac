"""FP8 and determinism: refused where they would silently not be, and FP8 named where it runs."""

from collections import Counter

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.mcore import HAVE_TE, ON_GPU, WHY_NO_TE, is_first_last_bf16_layer, te_extension
from megatron_rfft.models.fp8 import unavailable
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.determinism import check_environment
from megatron_rfft.training.trainer import Trainer

_FP8_CAPABILITY = (8, 9)


def check_precision(config: TrainConfig) -> None:
    """Raise UserError if this machine, its environment or the config cannot run what ``precision`` asks for: in place
    of FP8 megatron-core would go on in BF16.
    """
    if config.precision.deterministic:
        check_environment()
    if ON_GPU and not HAVE_TE and not config.precision.local_layers:
        reason = WHY_NO_TE or "megatron-core has no use for it"
        raise UserError(
            f"Transformer Engine does not work here ({reason}); rfft doctor --for train-gpu says more; or set "
            "precision.local_layers to true: slower, with more memory, without FP8"
        )
    if not uses_te(config):
        _refuse_what_needs_te(config)
    recipe = config.precision.fp8
    if recipe == "none":
        return
    if config.precision.dtype != "bf16":
        raise UserError(f"precision.fp8 {recipe} needs precision.dtype bf16, not {config.precision.dtype}")
    if reason := _why_no_fp8(recipe, config.precision.local_layers):
        raise UserError(f"precision.fp8 {recipe} can't run here: {reason}; set precision.fp8 to none")


def _refuse_what_needs_te(config: TrainConfig) -> None:
    """Raise UserError for a key that the local layers would silently not heed."""
    reason = "precision.local_layers is true" if HAVE_TE else WHY_NO_TE or "it does not work here"
    keys = {
        "parallel.tensor_overlap": config.parallel.tensor_overlap,
        "memory.fp8_activation_input": config.memory.fp8_activation_input,
        "memory.te_cross_entropy": config.memory.te_cross_entropy,
    }
    for key, asked in keys.items():
        if asked:
            raise UserError(f"{key} is true, but needs Transformer Engine's layers: {reason}; set it to false")


def _why_no_fp8(recipe: str, local_layers: bool) -> str:
    """The reason why Transformer Engine can't run ``recipe`` on this machine; empty if it can."""
    if not ON_GPU:
        return "this machine has no GPU"
    capability = torch.cuda.get_device_capability()
    if capability < _FP8_CAPABILITY:
        return f"{torch.cuda.get_device_name()} has no FP8 tensor cores (compute capability {capability})"
    if not HAVE_TE:
        return "Transformer Engine is not installed (pip install 'megatron-rfft[gpu]')"
    if local_layers:
        return "precision.local_layers takes layers without it"
    reason = unavailable()[recipe]
    return reason and f"Transformer Engine says: {reason}"


def uses_te(config: TrainConfig) -> bool:
    """Whether a run of ``config`` has Transformer Engine's layers on this machine."""
    return HAVE_TE and not config.precision.local_layers


def _is_te_linear(module: torch.nn.Module) -> bool:
    return type(module).__module__ == te_extension.__name__ and hasattr(module, "weight")


def describe_fp8(trainer: Trainer) -> str:
    """Which linears run in FP8, over all pipeline stages: one line for the log; collective over all ranks."""
    mine = set()
    for layer in (layer for stage in trainer.stages for layer in stage.decoder.layers):
        number = layer.layer_number - 1
        if not is_first_last_bf16_layer(trainer.transformer_config, number):
            mine |= {(name, number) for name, module in layer.named_modules() if _is_te_linear(module)}
    gathered: list[set] = [set()] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, mine)
    found = set().union(*gathered)
    counts = Counter(name for name, _ in found)
    layers = sorted({number for _, number in found})
    if not layers:
        raise UserError(f"precision.fp8 {trainer.config.precision.fp8} is set, but no linear would run in FP8")
    names = ", ".join(f"{name} x {count}" for name, count in sorted(counts.items()))
    return f"FP8 ({trainer.config.precision.fp8}): layers {layers[0]} to {layers[-1]}: {names}; the rest is bf16"
