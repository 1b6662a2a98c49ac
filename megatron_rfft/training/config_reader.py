"""A run's config from one YAML file and ``--section.key value`` overrides; unknown keys and wrong types are refused."""

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
    for (section, key), value in _parse_overrides(overrides or []):
        if raw.get(section) is None:
            raw[section] = {}
        if not isinstance(raw[section], dict):
            raise UserError(f"{path}: section {section!r} must hold keys")
        raw[section][key] = value
    return config_from_dict(raw)


def config_from_dict(raw: dict[str, Any]) -> TrainConfig:
    """Check keys and types of nested plain values and build the config. Raises UserError naming the wrong key."""
    how = "; set it in the YAML file or with --{} VALUE"
    return build_config(TrainConfig, raw, {list[DataSource]: parse_sources}, how)


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
