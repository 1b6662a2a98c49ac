"""The keys of a run's config with types, defaults and meanings, read from the schema itself."""

import ast
import dataclasses
import inspect
import itertools
import types
import typing
from typing import Any

from megatron_rfft.training import config
from megatron_rfft.training.config import TrainConfig, is_resumable


def describe_config() -> str:
    """One line per key: ``--section.key TYPE (default: VALUE)`` and the docstring under its field."""
    meanings, lines = _meanings(), []
    for name, section in typing.get_type_hints(TrainConfig).items():
        lines += ["", f"{name}: {inspect.getdoc(section)}"]
        hints = typing.get_type_hints(section, include_extras=True)
        for key in dataclasses.fields(section):
            note = "; may change on resume" if is_resumable(section, key.name) else ""
            lines.append(f"  --{name}.{key.name} {_words(hints[key.name])} ({_default(key)}{note})")
            lines.append(f"      {meanings[section.__name__, key.name]}")
    return "\n".join(lines)


def _meanings() -> dict[tuple[str, str], str]:
    """What stands under each field, in one line, by its class and its name."""
    tree = ast.parse(inspect.getsource(config))
    return {
        (section.name, entry.target.id): " ".join(ast.literal_eval(doc.value).split())
        for section in tree.body
        if isinstance(section, ast.ClassDef)
        for entry, doc in itertools.pairwise(section.body)
        if isinstance(entry, ast.AnnAssign) and isinstance(doc, ast.Expr)
    }


def _default(key: dataclasses.Field) -> str:
    if key.default_factory is not dataclasses.MISSING:
        return f"default: {key.default_factory() or 'none'}"
    return "required" if key.default is dataclasses.MISSING else f"default: {key.default!r}"


def _words(hint: Any) -> str:
    """A type as it is read: its bounds and choices, without the marks that are for pydantic."""
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Annotated:
            signs = {"ge": ">=", "gt": ">", "lt": "<"}
            marks = [(mark, at) for mark in hint.__metadata__ for at in signs if hasattr(mark, at)]
            bounds = ", ".join(f"{signs[at]} {getattr(mark, at)}" for mark, at in marks)
            return f"{_words(hint.__origin__)} {bounds}".rstrip()
        case typing.Literal:
            return " | ".join(arguments)
        case types.UnionType | typing.Union:
            return " | ".join(map(_words, arguments))
        case origin if origin is list:
            return f"list[{_words(arguments[0])}]"
    return "None" if hint is types.NoneType else hint.__name__
