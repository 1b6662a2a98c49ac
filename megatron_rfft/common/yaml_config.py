"""YAML files as nested dataclasses: the type of a key decides how its text is read, and what is wrong is named.

The schema is plain dataclasses that derive from ``Section``; pydantic reads them. Their types are Python's own,
``Literal``, and those of this module.
"""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from annotated_types import Ge, Gt
from pydantic import BeforeValidator, ConfigDict, Strict, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_file

Item = TypeVar("Item")


def _whole(value: Any) -> Any:
    """The number that text is, as Python writes it: 010, which YAML takes for 8, is none."""
    try:
        return int(value, 0) if isinstance(value, str) else value
    except ValueError:
        return value


Whole = Annotated[int, Strict(), BeforeValidator(_whole)]
Natural = Annotated[Whole, Ge(0)]
Positive = Annotated[Whole, Ge(1)]
AtLeastZero = Annotated[float, Ge(0)]
AboveZero = Annotated[float, Gt(0)]
ListOf = Annotated[list[Item], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]
"""A list; one item may stand alone."""


class Section:
    """Base of the dataclasses that a file's keys fill. ``key:`` with nothing behind it is an empty section."""

    __pydantic_config__ = ConfigDict(coerce_numbers_to_str=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        keys = [entry.name for entry in dataclasses.fields(cls)]
        for key in values if isinstance(values, dict) else ():
            if key not in keys:
                raise PydanticCustomError("unknown", "", {"key": key, "keys": ", ".join(keys)})
        return {} if values is None else values


class TextLoader(yaml.SafeLoader):
    """Leaves numbers, yes and no, and dates as the text that they are: null alone is more. No key may stand twice."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag.endswith((":null", ":merge"))]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        names = [key.value for key, _ in node.value]
        if twice := [key for key, _ in node.value if names.count(key.value) > 1]:
            raise yaml.MarkedYAMLError(problem=f"{twice[-1].value} stands twice", problem_mark=twice[-1].start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path | str, hint: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> dict[str, Any]:
    """The keys of a YAML file; none of an empty one. Raises UserError, with ``hint`` if there is no such file."""
    raw = parse_yaml(require_file(path, hint).read_bytes(), str(path), loader) or {}
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold keys")
    return raw


def parse_yaml(text: bytes | str, name: str, loader: type[yaml.SafeLoader]) -> Any:
    """The values of YAML (bytes: UTF-8, perhaps with a mark). Raises UserError with what is wrong, and where."""
    try:
        return yaml.load(text.decode("utf-8-sig") if isinstance(text, bytes) else text, loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}" if mark else str(error)
        raise UserError(f"{name} is not valid YAML: {' '.join(place.split())}") from error


def build_config(cls: type, values: Any, *, source: str = "", fix: str = "") -> Any:
    """An instance of the Section ``cls`` from nested plain values, where a number may be text.

    Raises UserError naming the first key that is wrong, behind ``source``. ``fix`` says how a missing one is set
    ("{name}" stands for it).
    """
    try:
        return _adapter(cls).validate_python(values)
    except ValidationError as error:
        raise UserError(source + _message(error.errors(include_url=False)[0], fix)) from error


@functools.cache
def _adapter(cls: type) -> TypeAdapter:
    return TypeAdapter(cls)


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text"}
_KINDS |= dict.fromkeys(("dataclass", "dict"), "a section with keys")
_PLAIN = {"greater than or equal to": "at least", "greater than": "above", "less than": "below"}


def _message(fault: Any, fix: str) -> str:
    """One line for an entry of ValidationError.errors()."""
    kind, value, told = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "value_error":
        return str(told["error"])
    # Without places in lists; "" is where a lone value stands in a mapping.
    name = ".".join(part for part in fault["loc"] if isinstance(part, str) and part not in ("", "[key]"))
    if kind == "unknown":
        return f"unknown key {name}{'.' if name else ''}{told['key']}; keys are {told['keys']}"
    if kind == "missing" or value is None:
        return f"{name} is not set{fix.format(name=name)}"
    must = re.sub(r"^\w+ should", "it must", fault["msg"])
    for words, plain in _PLAIN.items():
        must = must.replace(words, plain)
    if (family := kind.partition("_")[0]) in _KINDS:
        must = f"it must be {_KINDS[family]}"
    if fault["loc"][-1] == "[key]":
        return f"unknown key {name}; {must}"
    return f"{name} is {repr(value) if family in (*_KINDS, 'literal') else value}; {must}"
