"""Imports go one way through the package, and megatron-core is only used where it is prepared for."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "megatron_rfft"
ORDER = ("common", "pages", "rules", "tasks", "corpus", "data", "tokenization", "mcore", "models", "training")
ORDER += ("conversion", "evaluation", "environments", "planning", "diagnostics", "slurm", "chains", "commands")
"""Each imports from itself and those before it; ``commands`` may also import the training command."""
ON_MEGATRON = {"mcore", "models"}


@cache
def imported(file: Path) -> tuple[str, ...]:
    """The modules that a file imports anywhere in it, by full name."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}, line {node.lineno}: give the full name"
            names += [f"{node.module}.{name.name}" for name in node.names]
    return tuple(names)


def files(room: str) -> list[Path]:
    """The room's Python files."""
    found = sorted((PACKAGE / room).rglob("*.py"))
    assert found
    return found


def test_every_room_has_its_place():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_from_those_before_it(room):
    allowed = {*ORDER[: ORDER.index(room) + 1], "__version__"}
    wrong = [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file in files(room)
        for name in imported(file)
        if name.startswith("megatron_rfft.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


def test_megatron_core_is_used_by_two_rooms_and_never_before_it_is_prepared():
    for file in PACKAGE.rglob("*.py"):
        names = imported(file)
        if not any(name.partition(".")[0] == "megatron" for name in names):
            continue
        room = file.relative_to(PACKAGE).parts[0]
        assert room in ON_MEGATRON, f"{file} imports megatron-core; import it from megatron_rfft.mcore"
        if room == "models":
            assert any(name.startswith("megatron_rfft.mcore") for name in names), f"{file} skips megatron_rfft.mcore"


def test_every_room_has_a_folder_of_tests():
    assert {room for room in ORDER if not list((ROOT / "tests" / room).glob("test_*.py"))} == set()
