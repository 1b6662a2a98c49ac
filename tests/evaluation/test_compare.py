"""examples/compare: what its page says was measured; its stages in the quick mode."""

import csv
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMPARE = ROOT / "examples/compare"


def run_compare(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(COMPARE / "run.sh"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1200)


def test_the_tables_of_the_page_are_the_measured_ones():
    with open(COMPARE / "results.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    measured = {(row["task"], row["run"], row["length"]): f"{100 * float(row['accuracy']):.0f}" for row in rows}
    shown = {}
    for task, table in re.findall(r"\*\*`(\w+)`\*\*.*?\n\n(\|.*?)\n\n", (COMPARE / "README.md").read_text(), re.DOTALL):
        header, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n"))
        for name, *cells in lines:
            shown |= {(task, name, length): cell for length, cell in zip(header[1:], cells, strict=True)}
    assert shown == measured
    assert len({row["run"] for row in rows}) == 5


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
