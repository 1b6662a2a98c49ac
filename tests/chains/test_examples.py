"""The examples from an empty cluster to the report: what their pages say of commands, hours and prices."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from megatron_rfft.chains.config import load_chain
from megatron_rfft.tasks import list_tasks
from tests.conftest import ROOT, run_python
from tests.planning.test_recipes import planned

CHAINS = sorted(path for path in (ROOT / "examples").glob("*/chain.yaml") if "\nslurm:" in path.read_text())
"""Those for clusters."""
ids = pytest.mark.parametrize("file", CHAINS, ids=lambda file: file.parent.name)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Paths in recipes are relative to the checkout."""
    monkeypatch.chdir(ROOT)


def commands(page: Path, verb: str) -> list[list[str]]:
    """The calls of a verb in the page's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    words = [shlex.split(line) for block in blocks for line in block.splitlines()]
    return [["-m", "megatron_rfft", *line[1:]] for line in words if line[:2] == ["rfft", verb]]


def test_every_chain_is_found():
    assert [path.parent.name for path in CHAINS] == ["qwen2.5-32b", "qwen2.5-7b"]


@ids
def test_plans_and_dry_runs_do_what_the_page_says(file):
    page = file.with_name("README.md")
    plans = commands(page, "plan")
    assert len(plans) == 2
    for plan in plans:
        assert "GPU-hours" in run_python(*plan).stdout
    dry, real = commands(page, "submit")
    assert dry == [*real, "--dry-run"]
    printed = run_python(*dry).stdout
    nodes = re.search(r"sbatch --nodes (\d+) slurm/train.sbatch \S+rf-pretrain.yaml", page.read_text())[1]
    assert f"rfft-pretrain --nodes={nodes} " in printed
    assert [len(re.findall(f"chain/{stage}/[0-9]+.sh", printed)) for stage in ("convert", "evaluate")] == [13, 13]
    assert f"rfft watch {load_chain(file).run}" in page.read_text()


@ids
def test_the_page_says_the_planned_hours_and_their_price(file):
    page = file.with_name("README.md").read_text(encoding="utf-8")
    price = float(re.search(r"at (\S+) \$ a GPU-hour", page)[1])
    hours = {
        "RF-pretraining": planned(file.with_name("rf-pretrain.yaml"))[0].gpu_hours,
        "adaptation to the 12 held-out tasks": 12 * planned(file.with_name("adapt.yaml"))[0].gpu_hours,
    }
    assert len(list_tasks(role="held-out")) == 12
    hours["together"] = sum(hours.values())
    for what, planned_hours in hours.items():
        stated = re.search(rf"\| {what} \| (\S+) \| (\d+) \$ \|", page)
        assert float(stated[1]) == pytest.approx(planned_hours, abs=0.051)
        assert float(stated[2]) == pytest.approx(price * planned_hours, abs=0.51)


@ids
def test_a_task_of_the_array_has_the_gpus_that_its_plan_is_for(file):
    slurm = yaml.safe_load(file.read_text())["slurm"]["stages"]
    gpus = re.search(r"Planned on (\d+) ", file.with_name("adapt.yaml").read_text())[1]
    assert f"--gpus-per-node={gpus}" in slurm["adapt"]
