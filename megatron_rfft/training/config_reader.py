"""A run's config from one YAML file and ``--section.key value`` overrides; unknown keys and wrong types are refused."""

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file
from megatron_rfft.data.blend import DataSource, parse_sources
from megatron_rfft.training.config import TrainConfig


def load_config(path: Path | str, overrides: list[str] | None = None) -> TrainConfig:
    """Read a YAML config and apply ``["--section.key", "value", ...]``. Raises UserError naming any wrong key."""
    try:
        raw = yaml.safe_load(require_file(path, "give the run's YAML file").read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold sections ({', '.join(_sections())})")
    for name, value in _parse_overrides(overrides or []):
        section, key = name
        if not isinstance(raw.setdefault(section, {}), dict):
            raise UserError(f"{path}: section {section!r} must hold keys")
        raw[section][key] = value
    return config_from_dict(raw)


def config_from_dict(raw: dict[str, Any]) -> TrainConfig:
    """Check keys and types of nested plain values and build the config. Raises UserError naming the wrong key."""
    sections = _sections()
    if unknown := [name for name in raw if name not in sections]:
        raise UserError(f"unknown config section {unknown[0]!r}; sections are {', '.join(sections)}")
    built = {}
    for name, cls in sections.items():
        values = raw.get(name) or {}
        if not isinstance(values, dict):
            raise UserError(f"config section {name!r} must hold keys")
        built[name] = _build_section(name, cls, values)
    return TrainConfig(**built)


def _sections() -> dict[str, type]:
    hints = typing.get_type_hints(TrainConfig)
    return {f.name: hints[f.name] for f in dataclasses.fields(TrainConfig)}


def _build_section(section: str, cls: type, values: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(cls)
    if unknown := [key for key in values if key not in hints]:
        raise UserError(f"unknown config key {section}.{unknown[0]}; keys of {section} are {', '.join(hints)}")
    required = [f.name for f in dataclasses.fields(cls) if _is_required(f)]
    if missing := [name for name in required if values.get(name) is None]:
        raise UserError(
            f"{section}.{missing[0]} is not set; set it in the YAML file or with --{section}.{missing[0]} VALUE"
        )
    return cls(**{key: _convert(f"{section}.{key}", value, hints[key]) for key, value in values.items()})


def _is_required(entry: dataclasses.Field) -> bool:
    return entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING


def _convert(name: str, value: Any, hint: Any) -> Any:
    """``value`` as the type ``hint``, without guessing: a string is no number, a number no boolean."""
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if hint == list[DataSource]:
        return parse_sources(value, name)
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return [_convert(name, part, item) for part in (value if isinstance(value, list) else [value])]
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-5 as text
        try:
            return float(value)
        except ValueError:
            pass
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise UserError(f"{name} is {value!r}; it must be of type {hint.__name__}")


def _parse_overrides(words: list[str]) -> list[tuple[tuple[str, str], Any]]:
    pairs = []
    index = 0
    while index < len(words):
        name, equals, value = words[index].partition("=")
        section, dot, key = name.removeprefix("--").partition(".")
        if not name.startswith("--") or not (dot and section and key):
            raise UserError(f"unexpected argument {words[index]!r}; overrides are written --section.key value")
        if not equals:
            index += 1
            if index == len(words):
                raise UserError(f"{name} has no value; write {name} VALUE")
            value = words[index]
        pairs.append(((section, key), yaml.safe_load(value)))
        index += 1
    return pairs
