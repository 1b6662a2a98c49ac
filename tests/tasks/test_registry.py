"""Tasks of one's own: a file anywhere, or an entry point of an installed package."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import Rule
from megatron_rfft.tasks import (
    NEAR_TWINS,
    list_tasks,
    load_task,
    load_task_file,
    load_task_files,
    own_task_files,
    registry,
)
from tests.conftest import ROOT, run_python

TASK_FILE = """
from megatron_rfft.tasks import register


def {rule}(xs):
    n = 0
    while xs:
        n += xs.pop()
    return n


{register}
"""
REGISTER = """register(total, source="own", role="{role}", valid_lengths=[2, 4], questions=["Sum {{xs}}."],
         instance=lambda rng, length: ([rng.randrange(99) for _ in range(length)],), reference=sum)"""
OWN = ROOT / "examples/own_task/count_runs.py"


@pytest.fixture(autouse=True)
def registered():
    """What a test registers is gone behind it; tasks of the package stay, whose modules are not imported twice."""
    before = dict(registry._tasks)
    yield
    of_package = {name: task for name, task in registry._tasks.items() if task.family != registry.OWN_FAMILY}
    registry._tasks.clear()
    registry._tasks.update(of_package | before)


def write(path, rule: str = "total", register: str = REGISTER.format(role="extra")):
    path.write_text(TASK_FILE.format(rule=rule, register=register))
    return path


def test_a_task_file(tmp_path):
    task = load_task_file(write(tmp_path / "total.py"))
    assert load_task("total") is task is load_task_file(tmp_path / "total.py")
    assert (task.name, task.family, task.role, task.source, task.version) == ("total", "own", "extra", "own", 1)
    assert own_task_files() == [str(tmp_path / "total.py")]
    assert "total" in list_tasks(role="extra")
    assert list_tasks(family="own") == ["total"]
    example = task.example(4, "train", 3)
    assert example.answer == str(sum(example.arguments[0]))
    with pytest.raises(UserError, match="no length 3; its valid_lengths are 2, 4"):
        task.example(3)


def test_a_folder_stands_for_all_files_in_it(tmp_path):
    load_task_files([ROOT / "examples/quickstart/rules"])
    assert len(own_task_files()) == len(list((ROOT / "examples/quickstart/rules").glob("*.py"))) > 1
    with pytest.raises(UserError, match=r"holds no \.py file"):
        load_task_files([tmp_path])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sum_up.py", {}, "the rule is called total; name the file total"),
        ("total.py", {"register": REGISTER.format(role="dev")}, r"total.py: role 'dev' is unknown; choose one of"),
        ("total.py", {"register": ""}, "registers no task total; end the file in"),
        ("total.py", {"register": "1 / 0"}, "fails with ZeroDivisionError: division by zero; fix the file"),
        ("total.txt", {}, "is not a Python file"),
        ("add_int.py", {"rule": "add_int"}, "a task called add_int is there already"),
    ],
)
def test_faults_of_a_task_file_are_named(tmp_path, name, change, message):
    with pytest.raises(UserError, match=message):
        load_task_file(write(tmp_path / name, **change))
    with pytest.raises(UserError, match="no such file"):
        load_task_file(tmp_path / "absent.py")


def test_a_rule_that_answers_otherwise_in_its_trace_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "total.py")
    monkeypatch.setattr(Rule, "run", lambda rule, *arguments: "another")
    with pytest.raises(UserError, match=r"total.py: rule total answers \d+ in a trace and 'another' when it is run"):
        load_task_file(path)
    with pytest.raises(UserError, match="no task is called 'total'"):
        load_task("total")


def test_an_installed_task_is_found_by_its_name(tmp_path, monkeypatch):
    write(tmp_path / "total.py")
    write(tmp_path / "other.py", rule="total", register="")
    monkeypatch.syspath_prepend(tmp_path)
    group = registry.ENTRY_POINT_GROUP
    entries = {name: EntryPoint(name, module, group) for name, module in (("total", "total"), ("other", "other"))}
    monkeypatch.setattr(registry, "_entry_points", lambda: entries)
    assert load_task("total").example(2, "train").answer
    assert own_task_files() == []  # every process finds it by itself
    with pytest.raises(UserError, match="the entry point other registers no task other"):
        load_task("other")


def test_the_example_in_the_readme_runs_with_workers(tmp_path):
    output = tmp_path / "corpus"
    options = ("--task-file", OWN, "--output", output, "--workers", 2, "--json")
    done = run_python("data_prep/generate.py", "--tasks", "count_runs:1-10", "--samples", 100, *options)
    assert json.loads(done.stdout)["records"] > 600
    done = run_python("data_prep/verify.py", "--task-file", OWN, "--input", output, "--json")
    assert json.loads(done.stdout)["problems"] == []
    without = run_python("data_prep/verify.py", "--input", output, check=False)
    assert without.returncode == 1
    assert "no task is called 'count_runs'" in without.stdout


def test_the_example_is_short_and_sound():
    assert len(OWN.read_text().splitlines()) < 40
    task = load_task_file(OWN)
    for length in (5, 7, 30):
        for index in range(20):
            example = task.example(length, "train", index)
            assert example.answer == str(task.reference(*example.arguments))


def test_a_role_under_its_old_name(tmp_path):
    register = REGISTER.format(role="test").replace("role=", "split=")
    with pytest.warns(FutureWarning, match="total.py: write role='held-out' for split='test', its old name"):
        assert load_task_file(write(tmp_path / "total.py", register=register)).role == "held-out"


def test_near_twins_stay_out_of_the_paper_s_training_tasks():
    assert not set(NEAR_TWINS) & {*list_tasks(role="pretrain"), *list_tasks(role="held-out")}


def test_one_task_costs_one_import():
    """A command that needs one task does not load two hundred."""
    script = "import sys; from megatron_rfft.tasks import load_task; load_task('add_int'); print(len(sys.modules))"
    counts = [
        int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout)
        for code in (script, script.replace("load_task('add_int')", "load_task('add_int'), load_task('coin_flip')"))
    ]
    assert counts[1] - counts[0] <= 4  # the task's file, its folder, the words that it draws from
