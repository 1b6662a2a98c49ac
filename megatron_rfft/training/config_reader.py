"""A run's config from one YAML file and ``--section.key value`` overrides; unknown keys and wrong types are refused."""

import json
import typing
from pathlib import Path
from typing import Any

import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.yaml_config import build_config, read_yaml
from megatron_rfft.data.blend import DataSource, parse_sources
from megatron_rfft.training.config import TrainConfig


def load_config(path: Path | str, overrides: list[str] | None = None) -> TrainConfig:
    """Read a YAML config and apply ``["--section.key", "value", ...]``. Raises UserError naming any wrong key."""
    raw = read_yaml(path, "give the run's YAML file")
    for (section, key), text in _parse_overrides(overrides or []):
        value = _plain(section, key, text)
        if raw.get(section) is None:
            raw[section] = {}
        if not isinstance(raw[section], dict):
            raise UserError(f"{path}: section {section!r} must hold keys")
        raw[section][key] = value
    return config_from_dict(raw)


def as_override(value: str | list[Any]) -> str:
    """``value`` as it is written behind ``--section.key``: a path that YAML would read as something else in quotes."""
    try:
        if isinstance(value, str) and yaml.safe_load(value) == value:
            return value
    except yaml.YAMLError:
        pass
    return json.dumps(value, ensure_ascii=False)


def config_from_dict(raw: dict[str, Any]) -> TrainConfig:
    """Check keys and types of nested plain values and build the config. Raises UserError naming the wrong key."""
    how = "; set it in the YAML file or with --{} VALUE"
    return build_config(TrainConfig, raw, {list[DataSource]: parse_sources}, how)


def _plain(section: str, key: str, text: str) -> Any:
    """The value of an override. Text stands for itself: as YAML, a path with " #" or ": " in it would be another."""
    sections = typing.get_type_hints(TrainConfig)
    hint = typing.get_type_hints(sections[section]).get(key) if section in sections else None
    if hint is str or (hint == (str | None) and text.strip() not in ("null", "~", "")):
        return text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"--{section}.{key} {text!r} is not valid YAML: {' '.join(str(error).split())}") from error


def _parse_overrides(words: list[str]) -> list[tuple[tuple[str, str], str]]:
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
        pairs.append(((section, key), value))
        index += 1
    return pairs
