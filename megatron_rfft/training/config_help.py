"""The keys of a run's config with types, defaults and meanings, read from the dataclasses' own source."""

import ast
import inspect
import re
from pathlib import Path

from megatron_rfft.training import config


def describe_config() -> str:
    """One line per key: ``--section.key TYPE (default: VALUE)`` and the docstring under its field."""
    tree = ast.parse(Path(inspect.getfile(config)).read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    lines = []
    for section in classes["TrainConfig"].body:
        if isinstance(section, ast.AnnAssign):
            lines += _describe_section(ast.unparse(section.target), classes[ast.unparse(section.annotation)])
    return "\n".join(lines)


def _describe_section(name: str, section: ast.ClassDef) -> list[str]:
    lines = ["", f"{name}: {ast.get_docstring(section)}"]
    for entry, docstring in zip(section.body, section.body[1:], strict=False):
        if isinstance(entry, ast.AnnAssign) and isinstance(docstring, ast.Expr):
            default = "required" if entry.value is None else f"default: {ast.unparse(entry.value)}"
            default = default.replace("field(default_factory=list)", "none")
            default = re.sub(r"field\(default_factory=lambda: (.*)\)", r"\1", default)
            lines.append(f"  --{name}.{entry.target.id} {ast.unparse(entry.annotation)} ({default})")
            lines.append(f"      {' '.join(ast.literal_eval(docstring.value).split())}")
    return lines
