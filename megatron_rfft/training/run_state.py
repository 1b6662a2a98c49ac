"""What a run folder says about its run, for those who start it and those who wait for it."""

from pathlib import Path

from megatron_rfft.training.checkpoint_files import newest_manifest
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.early_stop import early_stop_reason


def why_done(config: TrainConfig, output: Path) -> str:
    """Why there is nothing left to do in the run folder ``output``, or an empty string."""
    manifest = newest_manifest(output / "checkpoints")
    if manifest is None:
        return ""
    if manifest["step"] >= config.run.steps:
        return f"step {manifest['step']} of {config.run.steps}"
    return early_stop_reason(manifest.get("callbacks", {}), config.validation.patience)
