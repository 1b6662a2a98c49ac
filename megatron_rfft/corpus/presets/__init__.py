"""Corpora by name: YAML files beside this one, and files of a user's own in the same form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file
from megatron_rfft.corpus.config import CorpusConfig, parse_tasks
from megatron_rfft.tasks import ROLES

KEYS = ("tasks", "lengths", "samples", "split", "form", "num_shards", "synthetic", "rename", "max_tokens")
_NUMBERS = ("samples", "num_shards", "max_tokens")


def preset_names() -> list[str]:
    """The presets that come with the package."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.yaml"))


def load_preset(name: str) -> dict[str, Any]:
    """The settings of a preset, or of a YAML file. Raises UserError for unknown names and keys."""
    if name in preset_names():
        path = Path(__file__).parent / f"{name}.yaml"
    elif name.endswith((".yaml", ".yml")):
        path = require_file(name, "give a preset's name or a YAML file")
    else:
        raise UserError(f"no preset is called {name!r}; choose one of {', '.join(preset_names())}, or give a YAML file")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path} must hold keys ({', '.join(KEYS)})")
    if unknown := [key for key in settings if key not in KEYS]:
        raise UserError(f"{path}: unknown key {unknown[0]!r}; keys are {', '.join(KEYS)}")
    return settings


def corpus_config(settings: Mapping[str, Any]) -> CorpusConfig:
    """The corpus of a preset's settings, those left out or None at their defaults.

    ``tasks`` is a list of names, a role of tasks, or text as ``parse_tasks`` reads it; ``lengths`` text or a number;
    ``synthetic`` a number, or numbers by kinds of random rules with their lengths.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    synthetic = given.get("synthetic", 0)
    by_kind = {f"synthetic {kind}": number for kind, number in synthetic.items()} if isinstance(synthetic, dict) else {}
    numbers = {key: given[key] for key in _NUMBERS if key in given} | (by_kind or {"synthetic": synthetic})
    for key, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool):
            raise UserError(f"{key} is {number!r}; give a whole number")
    if not isinstance(given.get("rename", False), bool):
        raise UserError(f"rename is {given['rename']!r}; give true or false")
    if "tasks" not in given:
        raise UserError("no tasks are named; give --tasks, for example --tasks add_int")
    tasks = given.pop("tasks")
    if not (isinstance(tasks, str) or (isinstance(tasks, list) and tasks and all(isinstance(t, str) for t in tasks))):
        raise UserError(f"tasks is {tasks!r}; give names, or one of {', '.join(ROLES)}")
    lengths = given.pop("lengths", None)
    chosen = parse_tasks(tasks, None if lengths is None else str(lengths), given.get("rename", False))
    return CorpusConfig(chosen, **{"samples": 1000, **given})
