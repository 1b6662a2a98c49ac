"""Every command and every example of the README is run."""

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


def bash_blocks() -> list[str]:
    """The README's shell blocks in order."""
    return re.findall(r"```bash\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_two_commands_come_first():
    commands = [line.split("#")[0].strip() for line in bash_blocks()[0].strip().splitlines()]
    # The first one runs, shortened, in test_quickstart.py; the second one is running now.
    assert commands == ["bash examples/quickstart/run.sh", "bash tests/run.sh"]
    assert all((ROOT / command.split()[1]).is_file() for command in commands)


def test_the_python_examples_print_what_they_show():
    result = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert result.attempted > 0
    assert result.failed == 0


def test_the_stages_run_as_written(tmp_path):
    block = bash_blocks()[1]
    script = "set -eu\n" + block.replace("runs/first", str(tmp_path / "first"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "first/report/report.html").is_file()


def test_the_plan_is_made_as_written():
    (command,) = bash_blocks()[2].strip().splitlines()
    assert command.startswith("python tools/plan.py ")
    assert "GPU-hours" in run_python(*shlex.split(command)[1:]).stdout


@cache
def help_of(*command: str) -> str:
    """What a command says of itself; convert.py has one help for each of its commands."""
    verb = [word for word in command[1:2] if not word.startswith("-") and command[0].endswith("convert.py")]
    return run_python(command[0], *verb, "--help").stdout


@pytest.mark.parametrize(
    "page", [README, *sorted((ROOT / "examples").glob("*/README.md"))], ids=lambda p: p.parent.name
)
def test_commands_for_gpu_machines_are_there_with_the_options_that_they_are_given(page):
    """Shell blocks marked ``sh`` need a GPU or a model: each command's help is run, and must know its options."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for program, *words in (shlex.split(line, comments=True) for block in blocks for line in block.splitlines()):
        assert program == "python"
        if words[:2] == ["-m", "pytest"]:
            assert all((ROOT / word).exists() for word in words[2:])
            continue
        text = help_of(*words[:2])
        assert [word for word in words if word.startswith("--") and word not in text] == []


def test_every_link_and_picture_of_the_project_exists():
    targets = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    missing = [target for target in targets if not target.startswith("http") and not (ROOT / target).exists()]
    assert missing == []
