"""examples/compare: what its page says was measured; its stages in the quick mode."""

import csv
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest

from tests.conftest import ROOT

COMPARE = ROOT / "examples/compare"


def run_compare(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(COMPARE / "run.sh"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1200)


def read_rows(name: str) -> list[dict[str, str]]:
    with open(COMPARE / name, newline="") as handle:
        return list(csv.DictReader(handle))


def percent(rows: list[dict[str, str]]) -> str:
    """The mean accuracy of rows."""
    return f"{100 * fmean(float(row['accuracy']) for row in rows):.0f}"


def beyond(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those of lengths that were not trained."""
    return [row for row in rows if int(row["length"]) > 5]


def tables(page: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Header and rows of each table, without marks for bold and code."""
    for table in re.findall(r"^\|.*?(?=\n\n)", page, re.DOTALL | re.MULTILINE):
        header, _, *lines = ([cell.strip(" *`") for cell in line.strip("|").split("|")] for line in table.split("\n"))
        yield header, lines


def test_the_tables_of_the_page_are_the_measured_ones():
    rows, checked = read_rows("results.csv"), set()
    for (task, *lengths, _), lines in tables((COMPARE / "README.md").read_text()):
        for name, *cells, seeds in lines if lengths[:1] == ["2"] else []:
            own = [row for row in rows if (row["task"], row["run"]) == (task, name)]
            means = [row for row in own if row["seed"] in ("mean", "")]
            assert cells == [percent([row for row in means if row["length"] == length]) for length in lengths]
            names = dict.fromkeys(row["seed"] for row in own if row["seed"] != "mean")
            assert seeds == ", ".join(percent([row for row in beyond(own) if row["seed"] == seed]) for seed in names)
            checked.add((task, name))
    assert checked == {(row["task"], row["run"]) for row in rows if row["task"] != "digit_max_int"}


@pytest.mark.parametrize(
    ("axis", "run", "elsewhere"),
    [
        ("steps", "{} steps", {"0": "RF-pretrained, not adapted"}),
        ("rules", "rules-{}", {"37": "Meta-RFFT"}),
    ],
)
def test_the_tables_of_ablations_are_the_measured_ones(axis, run, elsewhere):
    """One of their columns is an arm of the whole comparison, with the ablations' seed."""
    whole = [row for row in beyond(read_rows("results.csv")) if row["seed"] == "1"]
    rows = beyond(read_rows(f"{axis}.csv"))
    ((values, lines),) = (
        (header[1:], lines) for header, lines in tables((COMPARE / "README.md").read_text()) if header[0] == axis
    )
    assert {task for task, *_ in lines} == {row["task"] for row in rows}
    for task, *cells in lines:
        for value, cell in zip(values, cells, strict=True):
            name, source = (elsewhere[value], whole) if value in elsewhere else (run.format(value), rows)
            assert cell == percent([row for row in source if (row["task"], row["run"]) == (task, name)])


def test_wrong_arguments_are_named():
    for arguments, message in (
        (("met",), "there is no arm 'met'; arms are direct, vanilla, meta, scratchpad"),
        (("--output",), "--output needs a folder"),
        (("--tinny",), "no option --tinny"),
    ):
        done = run_compare(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
    done = run_compare("--help")
    assert done.returncode == 0
    assert "--tiny" in done.stdout


@pytest.mark.slow
def test_killed_it_continues_and_done_it_rests(tmp_path):
    command = ["bash", str(COMPARE / "run.sh"), "--tiny", "--output", str(tmp_path), "meta"]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob("pretrain/*/checkpoints/step-*/manifest.json")):
        assert time.monotonic() < deadline, "no checkpoint appeared"
        assert killed.poll() is None, "it ended too soon"
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()

    first = run_compare("--tiny", "--output", tmp_path, "meta")
    assert first.returncode == 0, first.stderr[-3000:]
    assert runs_of(tmp_path) == ["Meta-RFFT"]
    done = run_compare("--tiny", "--output", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    names = ["direct answer", "vanilla RFFT", "Meta-RFFT", "scratchpad", "one-shot Meta-RFFT"]
    assert runs_of(tmp_path) == [*names, "RF-pretrained, not adapted"]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("results.json")}
    assert len([path for path in made if "report" not in path.parts]) == 11
    assert run_compare("--tiny", "--output", tmp_path).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in made} == made


def runs_of(folder: Path) -> list[str]:
    return list(json.loads((folder / "report/results.json").read_text())["runs"])
