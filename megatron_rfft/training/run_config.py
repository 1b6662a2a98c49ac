"""``RUN/config.yaml`` and ``RUN/inputs.json``: what a run is, and whether a later start is the same one.

A run that has no checkpoint yet may become any other: nothing of it is continued.
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write, read_json, sha256_file, write_json
from megatron_rfft.common.yaml_config import read_yaml
from megatron_rfft.data.documents import Documents
from megatron_rfft.training.checkpoint_files import MANIFEST, list_checkpoints
from megatron_rfft.training.config import TrainConfig, is_resumable

CONFIG, INPUTS = "config.yaml", "inputs.json"


def write_run_config(config: TrainConfig, data: Mapping[str, Sequence[Documents]]) -> None:
    """Write the resolved config into the run folder, with checksums of what the run reads
    and the splits of its instances.

    ``data`` holds the opened data sets of ``data.train`` and ``validation.data``: they may lie elsewhere than before,
    and so may the checkpoint that the run started from. Raises UserError if the folder holds another run.
    """
    output = Path(config.run.output)
    inputs: dict[str, Any] = {name: [part.checksum for part in parts] for name, parts in data.items()}
    inputs["checkpoint.load"] = _checksum_of(config.checkpoint.load)
    inputs["splits"] = {name: [part.splits for part in parts] for name, parts in data.items()}
    if list_checkpoints(output / "checkpoints") and (output / CONFIG).is_file():
        known = read_json(output / INPUTS) if (output / INPUTS).is_file() else {}
        _check_same_run(config, output, inputs, known)
        # It may be gone, or a link that leads elsewhere by now: what counts is what the run began with.
        inputs["checkpoint.load"] = known.get("checkpoint.load") or inputs["checkpoint.load"]
    write_json(output / INPUTS, inputs)
    with atomic_write(output / CONFIG) as handle:
        yaml.safe_dump(config.as_dict(), handle, sort_keys=False)


def _checksum_of(checkpoint: str | None) -> str | None:
    manifest = None if checkpoint is None else Path(checkpoint) / MANIFEST
    return sha256_file(manifest) if manifest is not None and manifest.is_file() else None


def _check_same_run(config: TrainConfig, output: Path, inputs: dict[str, Any], known: dict[str, Any]) -> None:
    before = read_yaml(output / CONFIG, "restore it")
    for section, values in config.as_dict().items():
        for key, value in values.items():
            name = f"{section}.{key}"
            # A key that an older version did not know had what is its default now.
            then = before.get(section, {}).get(key, _default(config, section, key))
            if is_resumable(type(getattr(config, section)), key) or _is_same(name, then, value, inputs, known):
                continue
            why = ""
            if name == "run.steps":
                if config.optimizer.schedule == "constant":
                    continue  # its first steps are the same, whatever the last one is
                why = f" (optimizer.schedule {config.optimizer.schedule} reaches its end at the last step)"
            differ = f"a run with {name} {then!r}, this one has {value!r}{why}"
            if then == value:
                differ = f"a run on other data than {name} {value!r} has now"
            newest = list_checkpoints(output / "checkpoints")[-1]
            raise UserError(
                f"{output} holds {differ}; make them equal, or start a new run from its weights: "
                f"--run.output OTHER --checkpoint.load {shlex.quote(str(newest))}"
            )


def _is_same(name: str, then: Any, value: Any, inputs: dict[str, Any], known: dict[str, Any]) -> bool:
    """Whether the values say the same thing: data sets and checkpoints do wherever they lie now."""
    if known.get(name) is None:
        return then == value
    if name == "checkpoint.load":
        return then == value or known[name] == inputs[name]
    return known[name] == inputs[name] and _weights(then) == _weights(value)


def _weights(sources: list[str | dict[str, Any]]) -> list[float]:
    return [source["weight"] if isinstance(source, dict) else 1.0 for source in sources]


def _default(config: TrainConfig, section: str, key: str) -> object:
    entry = next(entry for entry in dataclasses.fields(getattr(config, section)) if entry.name == key)
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return None if entry.default is dataclasses.MISSING else entry.default
