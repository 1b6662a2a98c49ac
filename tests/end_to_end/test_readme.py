"""Every command and every example of the pages is run, or, where it needs a GPU or a model, held to its help."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_python

README = ROOT / "README.md"
FOLDERS = ("data_prep", "tools", "slurm", "slurm/container", "examples")
PAGES = [README, *(ROOT / folder / "README.md" for folder in FOLDERS), *sorted((ROOT / "examples").glob("*/README.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.parent.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks in a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def lines(page: Path, language: str) -> list[list[str]]:
    """The words of each command in the page's blocks, without comments."""
    found = (line for block in blocks(page, language) for line in block.replace("\\\n", " ").splitlines())
    return [words for words in (shlex.split(line, comments=True) for line in found) if words]


def run_block(block: str, folder: Path) -> None:
    """Run a block with ``rfft`` on the path, as an installation has it, and ``runs`` in ``folder``."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "rfft").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m megatron_rfft "$@"\n')
    (programs / "rfft").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = "set -eu\n" + re.sub(r"\bruns/", f"{folder}/runs/", block)
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_five_minutes_run_as_written(tmp_path):
    run_block(blocks(README, "bash")[0], tmp_path)
    assert (tmp_path / "runs/first/report/report.html").is_file()


def test_the_two_scripts_are_there():
    # The first one runs, shortened, in test_quickstart.py; the second one is running now.
    assert lines(README, "bash")[-2:] == [["bash", "examples/quickstart/run.sh"], ["bash", "tests/run.sh"]]
    assert all((ROOT / words[1]).is_file() for words in lines(README, "bash")[-2:])


@pytest.mark.parametrize("folder", ["data_prep", "examples/own_task", "examples/rl"])
def test_blocks_that_need_little_run_as_written(folder, tmp_path):
    run_block("\n".join(blocks(ROOT / folder / "README.md", "bash")), tmp_path)


@pytest.mark.parametrize("page", [README, ROOT / "data_prep/README.md"], ids=["README", "data_prep"])
def test_the_python_examples_print_what_they_show(page):
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("folder", ["tools", "slurm", "examples"])
def test_plans_and_dry_runs_are_made_as_written(folder):
    commands = [words[1:] for words in lines(ROOT / folder / "README.md", "sh") if words[0] == "rfft"]
    commands = [words for words in commands if words[0] == "plan" or "--dry-run" in words]
    assert commands
    for words in commands:
        told = run_python("-m", "megatron_rfft", *words).stdout
        assert ("GPU-hours" if words[0] == "plan" else "evaluate") in told


@cache
def help_of(*command: str) -> str:
    """What a command of this interpreter says of itself."""
    return run_python(*command, "--help").stdout


def helper(words: list[str]) -> tuple[str, ...] | None:
    """The command whose help has the options of ``words``; None for what has none."""
    if words == ["source", ".venv/bin/activate"]:
        return None
    if words[0] in ("sbatch", "bash"):
        files = [word for word in words[1:] if word.endswith((".sh", ".sbatch", ".yaml"))]
        assert files
        assert all((ROOT / file).is_file() for file in files)
        return None
    if words[0] == "torchrun":
        words = ["rfft", *words[words.index("megatron_rfft") + 1 :]]
    if words[:3] == ["python", "-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words[3:])
        return None
    if words[0] == "python":
        return tuple(words[1:2])
    assert Path(words[0]).name == "rfft"
    verbs = words[1:3] if words[1] == "convert" else words[1:2]
    return ("-m", "megatron_rfft", *verbs)


@each_page
def test_commands_have_the_options_that_they_are_given(page):
    """Shell blocks marked ``sh`` need a GPU, a model or a cluster."""
    for words in lines(page, "sh"):
        command = helper(words)
        if command is None:
            continue
        text = help_of(*command)
        launched = words.index("megatron_rfft") if words[0] == "torchrun" else 0
        assert [word for word in words[launched:] if word.startswith("--") and word not in text] == []


@each_page
def test_every_link_and_picture_of_the_project_exists(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    for target in targets:
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in [heading.lower().replace(" ", "-") for heading in headings], target
