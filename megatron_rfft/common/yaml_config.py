"""YAML files as nested dataclasses: unknown keys and wrong types are refused, and named."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file

Parsers = Mapping[Any, Callable[[Any, str], Any]]
"""For types that are read in a way of their own: what makes one of a plain value and the key's name."""


def read_yaml(path: Path | str, hint: str) -> dict[str, Any]:
    """The keys of a YAML file; none of an empty one. Raises UserError, with ``hint`` if there is no such file."""
    try:
        raw = yaml.safe_load(require_file(path, hint).read_text(encoding="utf-8-sig")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold keys")
    return raw


def build_config(cls: type, values: Any, parsers: Parsers, fix: str = "", name: str = "") -> Any:
    """An instance of the dataclass ``cls`` of nested plain values. Raises UserError naming the wrong key.

    ``fix`` says how a missing key is set ("{}" stands for its name), ``name`` where ``values`` lie ("" at the top).
    """
    hints = typing.get_type_hints(cls)
    prefix = f"{name}." if name else ""
    if not isinstance(values, dict):
        raise UserError(f"config section {name!r} must hold keys")
    if unknown := [key for key in values if key not in hints]:
        if name:
            raise UserError(f"unknown config key {prefix}{unknown[0]}; keys of {name} are {', '.join(hints)}")
        raise UserError(f"unknown config section {unknown[0]!r}; sections are {', '.join(hints)}")
    required = [entry.name for entry in dataclasses.fields(cls) if _is_required(entry)]
    if missing := [key for key in required if values.get(key) is None and not dataclasses.is_dataclass(hints[key])]:
        raise UserError(f"{prefix}{missing[0]} is not set{fix.format(*2 * [prefix + missing[0]])}")
    given = {key: {} if dataclasses.is_dataclass(hints[key]) and not value else value for key, value in values.items()}
    given |= {key: {} for key in required if key not in given}
    return cls(**{key: _convert(prefix + key, value, hints[key], parsers, fix) for key, value in given.items()})


def _is_required(entry: dataclasses.Field) -> bool:
    return entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING


def _convert(name: str, value: Any, hint: Any, parsers: Parsers, fix: str) -> Any:
    """``value`` as the type ``hint``, without guessing: a string is not a number, a number not a boolean."""
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if hint in parsers:
        return parsers[hint](value, name)
    if dataclasses.is_dataclass(hint):
        return build_config(hint, {} if value is None else value, parsers, fix, name)
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return [_convert(name, part, item, parsers, fix) for part in (value if isinstance(value, list) else [value])]
    if typing.get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise UserError(f"{name} is {value!r}; it must hold keys")
        item = typing.get_args(hint)[1]
        return {str(key): _convert(f"{name}.{key}", part, item, parsers, fix) for key, part in value.items()}
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
