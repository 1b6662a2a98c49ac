"""The command ``rfft``: what it lists, what each verb says of itself, and the scripts beside it."""

import re
import subprocess
import sys
from importlib import import_module

import pytest

from megatron_rfft.commands.main import describe, main
from megatron_rfft.commands.table import COMMANDS, GROUPS
from megatron_rfft.common.errors import UserError
from tests.conftest import ROOT, run_python

SCREEN = 48
SCRIPTS = sorted(path for folder in ("data_prep", "tools") for path in (ROOT / folder).glob("*.py"))
SCRIPTS = [path for path in SCRIPTS if not path.name.startswith(("bench_", "lock_"))]


def test_the_entry_point_of_the_installation_is_a_function():
    setup = (ROOT / "setup.py").read_text()
    module, function = re.search(r'"rfft = ([\w.]+):(\w+)"', setup).groups()
    assert callable(getattr(import_module(module), function))


def test_the_overview_fits_a_screen_and_has_every_verb_once(capsys):
    assert main(["--help"]) == main([]) == 0
    lines = describe().splitlines()
    assert capsys.readouterr().out == f"{describe()}\n" * 2
    assert len(lines) <= SCREEN
    listed = [line.split()[0] for line in lines if re.match(r"  [a-z-]+  ", line)]
    assert sorted(listed) == sorted(COMMANDS)
    assert sum(map(len, GROUPS.values())) == len(COMMANDS)


def test_the_overview_loads_no_torch():
    code = "import sys; from megatron_rfft.commands.main import main; main(['--help']); print('torch' in sys.modules)"
    assert run_python("-c", code).stdout.splitlines()[-1] == "False"


def test_a_verb_that_is_not_there_is_refused_with_a_similar_one():
    done = run_python("-m", "megatron_rfft", "genrate", check=False)
    assert (done.returncode, done.stderr) == (2, "error: rfft has no verb 'genrate'; did you mean generate?\n")
    with pytest.raises(UserError, match="rfft --help lists them"):
        main(["xyz"])


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_verb_explains_itself(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert text.startswith(f"usage: rfft {verb} ")
    options = text.partition("\nconfig keys")[0]  # in which a flag has a value
    assert not re.search(r"\(default: (False|None|\[\])\)", options)
    example = text.split("\nexample:\n")[1].splitlines()[0]
    assert f"rfft {verb} " in example or "-m megatron_rfft train " in example


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_its_verb(path):
    verb = re.search(r"`rfft ([a-z-]+)` as a script", path.read_text())[1]
    assert f"from {COMMANDS[verb].module} import main" in path.read_text()


def test_a_script_runs_from_anywhere(tmp_path):
    command = [sys.executable, str(ROOT / "data_prep/generate.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stdout.startswith("usage: rfft generate ")
