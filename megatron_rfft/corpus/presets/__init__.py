"""Corpora by name: YAML files beside this one, and files of a user's own in the same form."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, WrapValidator

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.yaml_config import Section, TextLoader, Whole, build_config, read_yaml
from megatron_rfft.corpus.config import CorpusConfig, parse_tasks

# One task or one number may stand alone, and stays alone.
_Names = Annotated[
    list[str], WrapValidator(lambda value, read: read(value) if isinstance(value, list) else read([value])[0])
]
_Numbers = Annotated[
    dict[str, Whole],
    WrapValidator(lambda value, read: read(value) if isinstance(value, dict) else read({"": value})[""]),
]


@dataclass(frozen=True)
class Preset(Section):
    """The keys of a preset; see CorpusConfig for what they mean."""

    tasks: _Names | None = None
    """Names, a role of tasks, or text as ``parse_tasks`` reads it."""
    lengths: str | None = None
    samples: Whole | None = None
    split: str | None = None
    form: str | None = None
    num_shards: Whole | None = None
    synthetic: _Numbers | None = None
    rename: Annotated[bool | str | None, Field(union_mode="left_to_right")] = None
    max_tokens: Whole | None = None


KEYS = tuple(key.name for key in dataclasses.fields(Preset))


def preset_names() -> list[str]:
    """The presets that come with the package."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.yaml"))


def load_preset(name: str) -> dict[str, Any]:
    """The settings of a preset, or of a YAML file. Raises UserError for unknown names and keys."""
    if name in preset_names():
        path = Path(__file__).parent / f"{name}.yaml"
    elif name.endswith((".yaml", ".yml")):
        path = Path(name)
    else:
        raise UserError(f"no preset is called {name!r}; choose one of {', '.join(preset_names())}, or give a YAML file")
    settings = read_yaml(path, "give a preset's name or a YAML file", TextLoader)
    preset = build_config(Preset, settings, source=f"{path}: ")
    return {key: getattr(preset, key) for key in settings}


def corpus_config(settings: Mapping[str, Any]) -> CorpusConfig:
    """The corpus of the keys of a Preset, those left out or None at their defaults. Raises UserError for others."""
    given = {key: value for key, value in settings.items() if value is not None}
    preset = build_config(Preset, given)
    given = {key: getattr(preset, key) for key in given}
    if not given.get("tasks"):
        raise UserError("no tasks are named; give --tasks, for example --tasks add_int")
    chosen = parse_tasks(given.pop("tasks"), given.pop("lengths", None), given.get("rename", False))
    return CorpusConfig(chosen, **{"samples": 1000, **given})
