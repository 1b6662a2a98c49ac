"""A run's config from one YAML file and ``--section.key value`` overrides; unknown keys and wrong types are refused."""

import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.yaml_config import TextLoader, build_config, parse_yaml, read_yaml
from megatron_rfft.training.config import TrainConfig

_NULL = ("null", "~", "")
_YAML = ("[", "{", '"', "'")
"""First characters of an override that is YAML, where its key takes more than text."""


def load_config(path: Path | str, overrides: list[str] | None = None) -> TrainConfig:
    """Read a YAML config and apply ``["--section.key", "value", ...]``. Raises UserError naming any wrong key."""
    raw = read_yaml(path, "give the run's YAML file", TextLoader)
    for section, key, text in _parse_overrides(overrides or []):
        if raw.get(section) is None:
            raw[section] = {}
        if not isinstance(raw[section], dict):
            raise UserError(f"{path}: section {section!r} must hold keys")
        raw[section][key] = _plain(section, key, text)
    return config_from_dict(raw)


def as_override(value: str | list[Any]) -> str:
    """``value`` as it is written behind ``--section.key`` of a list: text that would be read as YAML in quotes."""
    if isinstance(value, str) and value.strip() not in _NULL and not value.startswith(_YAML):
        return value
    return json.dumps(value, ensure_ascii=False)


def config_from_dict(raw: dict[str, Any]) -> TrainConfig:
    """Check keys and types of nested plain values and build the config. Raises UserError naming the wrong key."""
    return build_config(TrainConfig, {"run": {}, **raw}, fix="; set it in the YAML file or with --{name} VALUE")


def _plain(section: str, key: str, text: str) -> Any:
    """The value of an override. Text stands for itself: as YAML, a path with " #" or ": " in it would be another."""
    sections = typing.get_type_hints(TrainConfig)
    hint = typing.get_type_hints(sections[section]).get(key) if section in sections else None
    if hint is str or (hint == (str | None) and text.strip() not in _NULL):
        return text
    if text.strip() in _NULL or text.startswith(_YAML):
        return parse_yaml(text, f"--{section}.{key} {text!r}", TextLoader)
    return text


def _parse_overrides(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Section, key and text of each ``--section.key value`` or ``--section.key=value``."""
    rest = iter(words)
    for word in rest:
        name, equals, text = word.partition("=")
        if not (parts := re.fullmatch(r"--([^.]+)\.(.+)", name)):
            raise UserError(f"unexpected argument {word!r}; overrides are written --section.key value")
        if not equals and (text := next(rest, None)) is None:
            raise UserError(f"{name} has no value; write {name} VALUE")
        yield *parts.groups(), text
