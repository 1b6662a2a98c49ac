"""Saving and loading the whole training state, sharded by megatron-core; the files are laid out in checkpoint_files."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sync_directory, write_json
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.mcore import GPTModel, dist_checkpointing
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import (
    CHECKPOINT_KIND,
    HF,
    MANIFEST,
    MODEL_KIND,
    MODEL_MANIFEST,
    STATE,
    newest_intact,
    read_checkpoint_manifest,
    verified_manifest,
)
from megatron_rfft.training.trainer import Trainer

# A run may claim other positions than the model it starts from, and the initial spread is history.
_FREE_TO_DIFFER = ("max_position_embeddings", "init_std")


def _metadata() -> dict[str, Any]:
    """How states are sharded: optimizer states so that any other layout can load them.

    A fresh dict each time: megatron-core writes the current process groups into it.
    """
    return {
        "distrib_optim_sharding_type": "fully_reshardable",
        "singleton_local_shards": False,
        "chained_optim_avoid_prefix": True,
    }


def save_checkpoint(trainer: Trainer, folder: Path) -> Path:
    """Save the whole training state as ``folder/step-XXXXXXXX``; collective over all ranks."""
    final = folder / f"step-{trainer.step:08d}"
    trainer.synchronize_parameters()
    write_checkpoint(
        final,
        _sharded_state(trainer, is_loading=False),
        lambda hf: _write_hf_folder(trainer, hf),
        step=trainer.step,
        consumed_samples=trainer.consumed_samples,
        model=trainer.model_config.as_dict(),
        config=trainer.config.as_dict(),
    )
    return final


def write_checkpoint(final: Path, state: dict, write_hf: Callable[[Path], None], **sections: Any) -> None:
    """Write a sharded state dict, what ``write_hf`` puts into ``hf/``, and the manifest; collective over all ranks."""
    temporary = final.with_name(f".{final.name}.tmp")
    first_rank = torch.distributed.get_rank() == 0
    if first_rank:
        shutil.rmtree(temporary, ignore_errors=True)
        (temporary / STATE).mkdir(parents=True)
        (temporary / HF).mkdir()
    torch.distributed.barrier()
    dist_checkpointing.save(state, str(temporary / STATE), content_metadata=_metadata(), async_strategy="mcore")
    if first_rank:
        write_hf(temporary / HF)
        files = [path for path in temporary.rglob("*") if path.is_file()]
        write_manifest(temporary / MANIFEST, CHECKPOINT_KIND, files, **sections)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        sync_directory(final.parent)
    torch.distributed.barrier()


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest intact checkpoint below ``folder``, the same on every rank; collective.

    The first rank alone reads the files through; it says which newer ones are damaged. Raises UserError on every rank
    if there are only damaged ones.
    """
    path, problems = on_first_rank(lambda: newest_intact(folder))
    if torch.distributed.get_rank() == 0:
        for problem in problems:
            print(f"note: {problem.removesuffix('; use an older one')}; going on from {path}", file=sys.stderr)
    return path


def on_first_rank(work: Callable[[], Any]) -> Any:
    """What ``work`` returns on the first rank, on every rank; a UserError of it is raised on every rank."""
    answer: list[Any] = [None, None]
    if torch.distributed.get_rank() == 0:
        try:
            answer[0] = work()
        except UserError as error:
            answer[1] = str(error)
    torch.distributed.broadcast_object_list(answer)
    if answer[1] is not None:
        raise UserError(answer[1])
    return answer[0]


def load_checkpoint(trainer: Trainer, path: Path, *, weights_only: bool = False, verify: bool = True) -> None:
    """Restore ``path`` into ``trainer``, from any layout into any layout; collective over all ranks.

    ``weights_only`` starts a new run from the weights: optimizer, schedule and step stay fresh. Raises UserError on
    every rank if a file is missing or has another checksum, unless that was looked at before (``verify=False``).
    """
    manifest = on_first_rank(lambda: verified_manifest(path) if verify else read_checkpoint_manifest(path))
    ours, theirs = trainer.model_config.as_dict(), ModelConfig(**manifest["model"]).as_dict()
    if different := [key for key in ours if ours[key] != theirs[key] and key not in _FREE_TO_DIFFER]:
        key = different[0]
        raise UserError(f"{path} has model.{key} {theirs[key]!r}, this run {ours[key]!r}; make them equal")
    state = _sharded_state(trainer, is_loading=True, with_optimizer=not weights_only)
    loaded = dist_checkpointing.load(state, str(path / STATE))
    for stage, values in zip(trainer.stages, loaded["model"], strict=True):
        stage.load_state_dict(values)
    if weights_only:
        trainer.optimizer.reload_model_params()
        return
    trainer.optimizer.load_state_dict(loaded["optimizer"])
    trainer.step = manifest["step"]
    trainer.scheduler.num_steps = 0
    trainer.scheduler.step(increment=trainer.consumed_samples)


def model_state(stages: list[GPTModel]) -> dict:
    """The sharded state dict of this rank's model chunks; names in the checkpoint don't depend on the layout."""
    return {"model": [stage.sharded_state_dict(metadata=_metadata()) for stage in stages]}


def _sharded_state(trainer: Trainer, *, is_loading: bool, with_optimizer: bool = True) -> dict:
    state = model_state(trainer.stages)
    if with_optimizer:
        state["optimizer"] = trainer.optimizer.sharded_state_dict(state, is_loading=is_loading, metadata=_metadata())
    return state


def _write_hf_folder(trainer: Trainer, folder: Path) -> None:
    """What an exported model needs besides weights: config, tokenizer, how it was trained."""
    dataset = trainer.dataset.parts[0]
    stop_id = dataset.manifest["config"]["stop_id"]
    shutil.copytree(dataset.paths.tokenizer, folder, dirs_exist_ok=True)
    write_json(folder / "config.json", {**trainer.model_config.to_hf(), "eos_token_id": stop_id})
    write_json(folder / "generation_config.json", {"eos_token_id": stop_id, "do_sample": False})
    lengths: dict[str, set[int]] = {}
    for part in trainer.dataset.parts:
        for task, seen in part.manifest["lengths"].items():
            lengths.setdefault(task, set()).update(seen)
    write_manifest(
        folder / MODEL_MANIFEST,
        MODEL_KIND,
        [],
        form=dataset.manifest["form"],
        chat=dataset.manifest["chat"],
        trained_lengths={task: sorted(seen) for task, seen in sorted(lengths.items())},
        training={"steps": trainer.step, "seed": trainer.config.run.seed, "consumed_samples": trainer.consumed_samples},
    )
