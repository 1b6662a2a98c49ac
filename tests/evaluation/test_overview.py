"""A report on many tasks: grouped, folded, and on one screen as heat maps."""

import re

import pytest

from megatron_rfft.evaluation.figures import Wording
from megatron_rfft.evaluation.overview import GROUPED_FROM, accuracy_heat, groups
from megatron_rfft.evaluation.report import render_html
from megatron_rfft.evaluation.runs import Run
from megatron_rfft.tasks import list_tasks
from tests.evaluation.made_up import make_results, traced
from tests.pages.references import references


def many(tasks: list[str], correct: int = 15) -> dict:
    """Results on ``tasks`` at lengths 1 and 5; each has a wrong trace as a sample, with the truth behind it."""
    joined = make_results({1: 20, 5: correct}, task=tasks[0])
    for task in tasks:
        joined["tasks"][task] = make_results({1: 20, 5: correct}, task=task)["tasks"][task]
        joined["settings"]["tasks"][task] = 1
        error = {"kind": "wrong update", "line": 3, "expected": "now, x = 2", "got": "now, x = <2>"}
        sample = traced(error, "wrong")
        sample["trace"]["true_after"] = ["return <x>", "So the answer is 2"]
        joined["tasks"][task]["samples"]["failed"] = sample
    return joined


@pytest.fixture(scope="module")
def page() -> str:
    tasks = [*list_tasks("pretrain")[: GROUPED_FROM - 3], *list_tasks("held-out")[:2], "my_<task>"]
    return render_html([Run("one", many(tasks)), Run("two", many(tasks, 3))], Wording("Title"))


def test_tasks_are_grouped_by_what_they_are_for():
    tasks = ["coin_flip", "mine", "length_int", "move_zeroes"]
    assert groups(tasks) == {
        "held-out tasks": ["length_int", "move_zeroes"],
        "tasks of RF-pretraining": ["coin_flip"],
        "tasks of one's own": ["mine"],
    }


def test_many_tasks_are_small_panels_in_groups_of_which_the_first_is_open(page):
    assert references(page) == []
    found = re.findall(r'<details class="group"( open)?><summary>(.*?) <small>(\d+)</small>', page)
    assert found == [
        (" open", "held-out tasks", "2"),
        ("", "tasks of RF-pretraining", str(GROUPED_FROM - 3)),
        ("", "tasks of one&#39;s own", "1"),
    ]
    assert "trained on 1" not in re.search(r'<section class="panels small">.*?</section>', page, re.DOTALL)[0]
    assert page.count(f"<summary>each of the {GROUPED_FROM} tasks</summary>") == 4
    assert page.count("<details") == page.count("</details>")


def test_few_tasks_are_not_folded():
    html = render_html([Run("one", many(["coin_flip", "length_int"]))], Wording("Title"))
    assert 'class="group"' not in html
    assert "each of the" not in html
    assert "By task and length" in html
    assert "By task and length" not in render_html([Run("one", many(["coin_flip"]))], Wording("Title"))


def test_a_heat_map_has_every_cell_with_its_interval():
    results = make_results({1: 20, 5: 15}, task="a")
    results["tasks"]["b"] = make_results({5: 1}, task="b")["tasks"]["b"]
    svg = accuracy_heat(Run("one", results), ["a", "b"], [1, 5], "length")
    assert re.findall(r"<title>(\w, .*?)</title>", svg) == [
        "a, length 1: 100 % (84 to 100), 20 answers",
        "a, length 5: 75 % (53 to 89), 20 answers",
        "b, length 5: 5 % (1 to 24), 20 answers",
    ]


def test_the_model_stands_beside_the_truth(page):
    rows = re.findall(r'<tr class="(first|after)"><td>(\d*)</td><td>(.*?)</td><td>(.*?)</td></tr>', page)
    assert rows[:3] == [
        ("first", "3", "now, x = &lt;2&gt;", "now, x = 2"),
        ("after", "4", "return x", "return &lt;x&gt;"),
        ("after", "5", "", "So the answer is 2"),
    ]
    assert "older version" not in page
