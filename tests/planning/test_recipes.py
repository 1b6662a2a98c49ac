"""The recipes in examples/: each can be trained as it stands, and says what the planner says."""

import re

import pytest

from megatron_rfft.planning.gpus import GIB, find_gpu
from megatron_rfft.planning.layout import layout_from_config, workload_from_config
from megatron_rfft.planning.search import LayoutPlan, plan_layout, search
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout_check import check_layout
from tests.conftest import ROOT

RECIPES = sorted(path for path in (ROOT / "examples").glob("*/*.yaml") if "hf_config" in path.read_text())
"""Those of published models: the small ones are planned by nobody."""
STATED = re.compile(
    r"# Planned on (?P<gpus>\d+) (?P<gpu>\S+) for documents of (?P<tokens>\d+) tokens"
    r"(?: \((?P<mean>\d+) on average\))?: (?P<step>\S+) s a step, (?P<hours>\S+) GPU-hours, (?P<memory>\d+) GiB\."
)


def planned(path) -> tuple[LayoutPlan, re.Match]:
    """The plan of a recipe as it stands, and what its head says."""
    stated = STATED.search(path.read_text())
    assert stated, f"{path} does not say how it was planned"
    config = load_config(path)
    model = config.model.resolve(0)
    gpus = int(stated["gpus"])
    check_layout(config, model, gpus)
    work = workload_from_config(config, float(stated["tokens"]), stated["mean"] and float(stated["mean"]))
    return plan_layout(model, work, layout_from_config(config, gpus), find_gpu(stated["gpu"])), stated


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Paths in recipes are relative to the checkout."""
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_fits_and_says_what_is_planned(path):
    plan, stated = planned(path)
    assert plan.fits
    planned_values = {"step": plan.time.total, "hours": plan.gpu_hours, "memory": plan.memory.total / GIB}
    for name, value in planned_values.items():
        decimals = len(stated[name].partition(".")[2])
        assert float(stated[name]) == pytest.approx(value, abs=0.51 * 10**-decimals), name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_is_laid_out_as_the_search_would(path):
    plan, _ = planned(path)
    found = search(load_config(path), plan.model, plan.work, plan.layout.gpus, plan.gpu)
    assert found.ranked[0].layout == plan.layout


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_and_its_page_state_the_same(path):
    stated = STATED.search(path.read_text())
    row = next(line for line in (path.parent / "README.md").read_text().splitlines() if f"]({path.name})" in line)
    gpus, memory, step, hours = (cell.strip() for cell in row.split("|")[3:7])
    assert (gpus, memory, step, hours) == (stated["gpus"], stated["memory"], stated["step"], stated["hours"])


@pytest.mark.parametrize(("folder", "most"), [("qwen2.5-32b", 60), ("qwen2.5-7b", 14.4)])
def test_rf_pretraining_is_planned_far_below_the_papers_hours(folder, most):
    """713.6 and 144 H800-hours (paper, section 4); a tenth of the 7B run's."""
    plan, _ = planned(ROOT / "examples" / folder / "rf-pretrain.yaml")
    assert plan.gpu_hours <= most


def test_every_recipe_is_found():
    assert len(RECIPES) >= 10
