"""Saving and loading the whole training state, sharded by megatron-core; the files are laid out in checkpoint_files."""

import copy
import shutil
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import write_json
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.data.blend import DataSource
from megatron_rfft.data.documents import Documents
from megatron_rfft.mcore import GPTModel
from megatron_rfft.mcore.loading import load_state
from megatron_rfft.mcore.optimizer_shards import held_weights
from megatron_rfft.mcore.saving import StateSaver
from megatron_rfft.models import adapters
from megatron_rfft.models.adapter_config import AdapterConfig
from megatron_rfft.models.adapter_start import start_adapters
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import (
    MODEL_KIND,
    MODEL_MANIFEST,
    STATE,
    adapter_section,
    base_of,
    base_reference,
    checkpoint_name,
    damaged,
    data_of,
    file_problems,
    list_checkpoints,
    read_checkpoint_manifest,
    share_of_files,
    weight_files,
    weights_chain,
)
from megatron_rfft.training.checkpoint_save import CheckpointSave
from megatron_rfft.training.collective import on_first_rank
from megatron_rfft.training.trainer import Trainer

# A run may claim other positions than the model it starts from, and the initial spread is history.
_FREE_TO_DIFFER = ("max_position_embeddings", "init_std")


def content_metadata() -> dict[str, Any]:
    """How states are sharded: optimizer states so that any other layout can load them.

    A fresh dict each time: megatron-core writes the current process groups into it.
    """
    return {
        "distrib_optim_sharding_type": "fully_reshardable",
        "singleton_local_shards": False,
        "chained_optim_avoid_prefix": True,
    }


class TrainerSaver:
    """Saves the whole state of ``trainer``, again and again; the plan and the memory stay from one save to the next.

    Make it after the first step: what a layer tells of itself (its FP8 recipe) is saved as it is then.
    """

    def __init__(self, trainer: Trainer):
        self._trainer, self._weights = trainer, model_state(trainer.stages)
        self._saver = StateSaver(content_metadata(), held_weights(trainer.optimizer, self._weights))

    @property
    def host_bytes(self) -> int:
        """Size of this rank's copy in host memory, after the first save."""
        return self._saver.host_bytes

    def start(self, folder: Path, completed: Callable[[], None] = lambda: None) -> CheckpointSave:
        """Begin to save as ``folder/step-XXXXXXXX``; collective over all ranks.

        Training may go on when it returns. ``completed`` is called on the first rank when the checkpoint is there.
        """
        trainer, config = self._trainer, self._trainer.config
        final = folder / checkpoint_name(trainer.step)
        told = {"steps": trainer.step, "seed": config.run.seed, "consumed_samples": trainer.consumed_samples}
        return CheckpointSave(
            final,
            _optimizer_state(trainer, self._weights, is_loading=False),
            lambda hf: _write_hf_folder(trainer, hf, told),
            self._saver,
            completed=completed,
            step=trainer.step,
            consumed_samples=trainer.consumed_samples,
            model=trainer.model_config.as_dict(),
            config=config.as_dict(),
            callbacks=copy.deepcopy(trainer.callback_states()),
            **_adapter_section(trainer, final),
        )


def _adapter_section(trainer: Trainer, final: Path) -> dict[str, Any]:
    if trainer.adapter is None:
        return {}
    return {"adapter": adapter_section(trainer.adapter.as_dict(), trainer.base, final)}


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest intact checkpoint below ``folder``, the same on every rank; collective.

    The first rank says which newer ones are damaged. Raises UserError on every rank if there are only damaged ones.
    """
    problems: list[str] = []
    for path in reversed(on_first_rank(lambda: list_checkpoints(folder))):
        try:
            _verified_together(path)
        except UserError as error:
            problems.append(str(error))
            continue
        if torch.distributed.get_rank() == 0:
            for problem in problems:
                print(f"note: {problem.removesuffix('; use an older one')}; going on from {path}", file=sys.stderr)
        return path
    if problems:
        raise UserError(f"{problems[0]}: but there is no intact one in {folder}; remove these to start anew")
    return None


def _verified_together(
    path: Path, choose: Callable[[dict], Collection[str]] = lambda manifest: manifest["files"]
) -> dict:
    """The manifest of checkpoint ``path`` after the checksums of the files that ``choose`` names held; each rank reads
    its share of them. Collective. Raises UserError on every rank otherwise.
    """
    manifest = on_first_rank(lambda: read_checkpoint_manifest(path))
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    mine = share_of_files(manifest, choose(manifest), rank, ranks)
    problems = file_problems(path, manifest, mine)
    found: list[Any] = [None] * ranks
    torch.distributed.all_gather_object(found, problems[:1])
    if problems := [problem for each in found for problem in each]:
        raise damaged(path, problems[0])
    return manifest


def _verified_chain(path: Path) -> list[tuple[Path, dict]]:
    """The chain of weights that begins with ``path``, verified by all ranks together."""
    chain = on_first_rank(lambda: weights_chain(path, verify=read_checkpoint_manifest))
    return [(each, _verified_together(each, weight_files)) for each, _ in chain]


def load_checkpoint(trainer: Trainer, path: Path, *, weights_only: bool = False, verify: bool = True) -> None:
    """Restore ``path`` into ``trainer``, from any layout into any layout; collective over all ranks.

    ``weights_only`` starts a new run from the weights: optimizer, schedule and step stay fresh. Weights under adapters
    are read from the checkpoint that these are trained on; adapters in ``path`` are merged into the weights that a new
    run starts from. Raises UserError on every rank if a file is missing or has another checksum, unless that was looked
    at before (``verify=False``), or if ``path`` is of another model.
    """
    if weights_only:
        chain = _verified_chain(path)
        _check_model(trainer, path, chain[0][1])
        trainer.base_data = [{**data, "base": True} for data in on_first_rank(lambda: data_of(path))]
        _load_weights(trainer, chain)
        if trainer.adapter is not None:
            for stage in trainer.stages:
                start_adapters(stage, trainer.adapter, trainer.model_config, trainer.config.run.seed)
        trainer.optimizer.reload_model_params()
        return
    manifest = _verified_together(path) if verify else on_first_rank(lambda: read_checkpoint_manifest(path))
    _check_model(trainer, path, manifest)
    _check_adapter(trainer, path, manifest)
    trainer.base_data = [data for data in on_first_rank(lambda: data_of(path)) if data.get("base")]
    if trainer.adapter is not None:
        now = Path(trainer.config.checkpoint.load)
        _load_weights(trainer, _verified_chain(on_first_rank(lambda: base_of(path, manifest, now=now))))
    weights = model_state(trainer.stages)
    state = _optimizer_state(trainer, weights, is_loading=True)
    # Each data-parallel rank has a share of the optimizer's states of its own, or all have the same.
    optimizer = load_state(state, path / STATE, replicated=not trainer.config.optimizer.distributed)["optimizer"]
    _put_weights(trainer.stages, load_state(weights, path / STATE, replicated=True))
    for stage in trainer.stages:
        adapters.subtract_start(stage)
    trainer.optimizer.load_state_dict(optimizer)
    trainer.step = manifest["step"]
    trainer.restore_callbacks(manifest.get("callbacks", {}))
    trainer.scheduler.num_steps = 0
    trainer.scheduler.step(increment=trainer.consumed_samples)


def _check_model(trainer: Trainer, path: Path, manifest: dict) -> None:
    ours, theirs = trainer.model_config.as_dict(), ModelConfig(**manifest["model"]).as_dict()
    if different := [key for key in ours if ours[key] != theirs[key] and key not in _FREE_TO_DIFFER]:
        key = different[0]
        raise UserError(f"{path} has model.{key} {theirs[key]!r}, this run {ours[key]!r}; make them equal")


def _check_adapter(trainer: Trainer, path: Path, manifest: dict) -> None:
    theirs = AdapterConfig.from_manifest(manifest["adapter"]) if "adapter" in manifest else None
    if trainer.adapter != theirs:
        raise UserError(f"{path} has adapters {theirs}, this run {trainer.adapter}; make the adapter section equal")


def _load_weights(trainer: Trainer, chain: list[tuple[Path, dict]]) -> None:
    """Set the model's weights, not its adapters, to those that ``chain`` (of weights_chain) ends in, merged upwards."""
    own = [adapters.take_adapters(stage) for stage in trainer.stages]
    for path, manifest in reversed(chain):
        if "adapter" in manifest:
            foreign = AdapterConfig.from_manifest(manifest["adapter"])
            for stage in trainer.stages:
                adapters.put_foreign_adapters(stage, foreign, trainer.model_config)
        _put_weights(trainer.stages, load_state(model_state(trainer.stages), path / STATE, replicated=True))
        for stage in trainer.stages:
            adapters.merge(stage)
            adapters.take_adapters(stage)
    for taken in own:
        adapters.put_adapters(taken)
    if trainer.adapter is not None:
        trainer.base = on_first_rank(lambda: base_reference(chain[0][0]))


def _put_weights(stages: list[GPTModel], loaded: dict) -> None:
    for stage, values in zip(stages, loaded["model"], strict=True):
        stage.load_state_dict(values, strict=not adapters.adapted_layers(stage))


def model_state(stages: list[GPTModel]) -> dict:
    """The sharded state dict of this rank's model chunks (with adapters: these alone), named alike in every layout."""
    states = [adapters.trained_part(stage, stage.sharded_state_dict(metadata=content_metadata())) for stage in stages]
    return {"model": states}


def _optimizer_state(trainer: Trainer, weights: dict, *, is_loading: bool) -> dict:
    """The sharded state dict of the optimizer of these (sharded) ``weights``."""
    state = trainer.optimizer.sharded_state_dict(weights, is_loading=is_loading, metadata=content_metadata())
    return {"optimizer": state}


def _write_hf_folder(trainer: Trainer, folder: Path, training: dict[str, Any]) -> None:
    """What an exported model needs besides weights: config, tokenizer, how it was trained (``training``)."""
    parts = trainer.dataset.parts
    # General data has no form. Its tokenizer may have a template that the tasks do without, and never another one.
    tasks = next((part for part in parts if part.manifest["form"] is not None), parts[0])
    dataset = next((part for part in parts if part.manifest["chat"]), parts[0])
    stop_id = dataset.manifest["config"]["stop_id"]
    shutil.copytree(dataset.paths.tokenizer, folder, dirs_exist_ok=True)
    write_json(folder / "config.json", {**trainer.model_config.to_hf(), "eos_token_id": stop_id})
    write_json(folder / "generation_config.json", {"eos_token_id": stop_id, "do_sample": False})
    lengths: dict[str, set[int]] = {}
    own = [_describe(source, part) for source, part in zip(trainer.dataset.sources, parts, strict=True)]
    for part in parts:
        for task, seen in part.manifest["lengths"].items():
            lengths.setdefault(task, set()).update(seen)
    write_manifest(
        folder / MODEL_MANIFEST,
        MODEL_KIND,
        [],
        form=tasks.manifest["form"],
        chat=tasks.manifest["chat"],
        bos_id=dataset.manifest["config"].get("bos_id"),
        data=[*own, *trainer.base_data],
        trained_lengths={task: sorted(seen) for task, seen in sorted(lengths.items())},
        training=training,
    )


def _describe(source: DataSource, part: Documents) -> dict[str, Any]:
    """What a model's manifest says of a data set that it was trained on."""
    known = {key: part.manifest[key] for key in ("form", "chat", "tasks")}
    said = {"documents": len(part), "splits": part.splits}
    return {"name": Path(source.path).name, "weight": source.weight, **said, **known}
