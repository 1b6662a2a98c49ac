"""Saving and loading the whole training state, sharded by megatron-core; the files are laid out in checkpoint_files."""

import errno
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import sync_directory, write_json
from megatron_rfft.common.manifest import write_manifest
from megatron_rfft.data.blend import DataSource
from megatron_rfft.data.documents import Documents
from megatron_rfft.mcore import DEVICE, GPTModel, dist_checkpointing
from megatron_rfft.mcore.saving import StateWriter
from megatron_rfft.models import adapters
from megatron_rfft.models.adapter_config import AdapterConfig
from megatron_rfft.models.adapter_start import start_adapters
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.training.checkpoint_files import (
    CHECKPOINT_KIND,
    HF,
    MANIFEST,
    MODEL_KIND,
    MODEL_MANIFEST,
    STATE,
    adapter_section,
    base_of,
    base_reference,
    checkpoint_name,
    data_of,
    newest_intact,
    read_checkpoint_manifest,
    verified_manifest,
    weights_chain,
)
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


def save_checkpoint(trainer: Trainer, folder: Path, *, background: bool = False) -> "CheckpointSave":
    """Begin to save the whole training state as ``folder/step-XXXXXXXX``; collective over all ranks.

    The checkpoint appears when ``finish()`` of what is returned is called. With ``background``, training may go on
    before that.
    """
    final = folder / checkpoint_name(trainer.step)
    trainer.synchronize_parameters()
    return CheckpointSave(
        final,
        _sharded_state(trainer, is_loading=False),
        lambda hf: _write_hf_folder(trainer, hf),
        copy=background,
        step=trainer.step,
        consumed_samples=trainer.consumed_samples,
        model=trainer.model_config.as_dict(),
        config=trainer.config.as_dict(),
        callbacks=trainer.callback_states(),
        **_adapter_section(trainer, final),
    )


def _adapter_section(trainer: Trainer, final: Path) -> dict[str, Any]:
    if trainer.adapter is None:
        return {}
    return {"adapter": adapter_section(trainer.adapter.as_dict(), trainer.base, final)}


class CheckpointSave:
    """A checkpoint under way: each rank's part is being written by a thread into a hidden folder.

    All methods are collective. ``finish`` gives the folder its name, or raises CommandFailed on every rank.
    """

    def __init__(self, final: Path, state: dict, write_hf: Callable[[Path], None], *, copy: bool, **sections: Any):
        self.final, self._sections = final, sections
        self._temporary = final.with_name(f".{final.name}.tmp")
        on_first_rank(lambda: self._with_room(lambda: self._begin(write_hf)))
        self._writer = StateWriter(state, self._temporary / STATE, content_metadata(), copy=copy)

    def is_written(self) -> bool:
        """Whether every rank's part is on disk (or has failed): ``finish`` does not have to wait."""
        writing = torch.tensor([not self._writer.is_done], dtype=torch.int32, device=DEVICE)
        torch.distributed.all_reduce(writing, op=torch.distributed.ReduceOp.MAX)
        return not int(writing)

    def finish(self) -> Path:
        """Wait for all ranks, write the manifest and rename; the checkpoint's path."""
        self._writer.wait()
        parts: list[Any] = [None] * torch.distributed.get_world_size()
        error = None if self._writer.error is None else _reason(self._writer.error)
        torch.distributed.all_gather_object(parts, (self._writer.results, self._writer.checksums, error))
        on_first_rank(lambda: self._with_room(lambda: self._complete(parts)))
        return self.final

    def _begin(self, write_hf: Callable[[Path], None]) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
        (self._temporary / STATE).mkdir(parents=True)
        (self._temporary / HF).mkdir()
        write_hf(self._temporary / HF)

    def _complete(self, parts: list) -> None:
        results, checksums, errors = zip(*parts, strict=True)
        for rank, error in enumerate(errors):
            if error is not None:
                raise OSError(errno.EIO, f"rank {rank}: {error}")
        self._writer.finish(list(results))
        files = [path for path in self._temporary.rglob("*") if path.is_file()]
        known = {path: checksum for part in checksums for path, checksum in part.items()}
        write_manifest(self._temporary / MANIFEST, CHECKPOINT_KIND, files, known, **self._sections)
        shutil.rmtree(self.final, ignore_errors=True)
        self._temporary.rename(self.final)
        sync_directory(self.final.parent)

    def _with_room(self, work: Callable[[], None]) -> None:
        """Do ``work``; if the disk refuses it, leave nothing half-written and say so."""
        try:
            work()
        except OSError as error:
            shutil.rmtree(self._temporary, ignore_errors=True)
            fix = "make the folder writable" if error.errno in (errno.EACCES, errno.EROFS) else "free some room"
            raise CommandFailed(
                f"checkpoint {self.final} could not be written ({error.strerror or error}); older ones are untouched: "
                f"{fix} and run it again"
            ) from error


def _reason(error: BaseException) -> str:
    """What the disk said, below what torch makes of it."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError):
            return found.strerror or str(found)
        found = found.__cause__ or found.__context__
    return f"{type(error).__name__}: {error}"


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
    """What ``work`` returns on the first rank, on every rank; so is its UserError or CommandFailed, raised."""
    answer: list[Any] = [None, None]
    if torch.distributed.get_rank() == 0:
        try:
            answer[0] = work()
        except (UserError, CommandFailed) as error:
            answer[1] = (type(error), str(error))
    torch.distributed.broadcast_object_list(answer)
    if answer[1] is not None:
        kind, message = answer[1]
        raise kind(message)
    return answer[0]


def load_checkpoint(trainer: Trainer, path: Path, *, weights_only: bool = False, verify: bool = True) -> None:
    """Restore ``path`` into ``trainer``, from any layout into any layout; collective over all ranks.

    ``weights_only`` starts a new run from the weights: optimizer, schedule and step stay fresh. Weights under adapters
    are read from the checkpoint that these are trained on; adapters in ``path`` are merged into the weights that a new
    run starts from. Raises UserError on every rank if a file is missing or has another checksum, unless that was looked
    at before (``verify=False``), or if ``path`` is of another model.
    """
    if weights_only:
        chain = on_first_rank(lambda: weights_chain(path))
        _check_model(trainer, path, chain[0][1])
        trainer.base_data = [{**data, "base": True} for data in on_first_rank(lambda: data_of(path))]
        _load_weights(trainer, chain)
        if trainer.adapter is not None:
            for stage in trainer.stages:
                start_adapters(stage, trainer.adapter, trainer.model_config, trainer.config.run.seed)
        trainer.optimizer.reload_model_params()
        return
    manifest = on_first_rank(lambda: verified_manifest(path) if verify else read_checkpoint_manifest(path))
    _check_model(trainer, path, manifest)
    _check_adapter(trainer, path, manifest)
    trainer.base_data = [data for data in on_first_rank(lambda: data_of(path)) if data.get("base")]
    if trainer.adapter is not None:
        now = Path(trainer.config.checkpoint.load)
        _load_weights(trainer, on_first_rank(lambda: weights_chain(base_of(path, manifest, now=now))))
    loaded = dist_checkpointing.load(_sharded_state(trainer, is_loading=True), str(path / STATE))
    _put_weights(trainer.stages, loaded)
    for stage in trainer.stages:
        adapters.subtract_start(stage)
    trainer.optimizer.load_state_dict(loaded["optimizer"])
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
        _put_weights(trainer.stages, dist_checkpointing.load(model_state(trainer.stages), str(path / STATE)))
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


def _sharded_state(trainer: Trainer, *, is_loading: bool) -> dict:
    state = model_state(trainer.stages)
    state["optimizer"] = trainer.optimizer.sharded_state_dict(state, is_loading=is_loading, metadata=content_metadata())
    return state


def _write_hf_folder(trainer: Trainer, folder: Path) -> None:
    """What an exported model needs besides weights: config, tokenizer, how it was trained."""
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
        training={"steps": trainer.step, "seed": trainer.config.run.seed, "consumed_samples": trainer.consumed_samples},
    )


def _describe(source: DataSource, part: Documents) -> dict[str, Any]:
    """What a model's manifest says of a data set that it was trained on."""
    known = {key: part.manifest[key] for key in ("form", "chat", "tasks")}
    said = {"documents": len(part), "splits": part.splits}
    return {"name": Path(source.path).name, "weight": source.weight, **said, **known}
