"""Errors are found where each example has a rule of its own: random ones, and rules under other names."""

import pytest

from megatron_rfft.evaluation.steps import review_answer
from megatron_rfft.tasks import STYLE_OF_FORM, load_task


@pytest.mark.parametrize("form", STYLE_OF_FORM)
@pytest.mark.parametrize("name", ["add_int+rename", "random_strings", "random_lists"])
def test_a_wrong_line_is_found(name, form):
    task = load_task(name)
    example, rule = task.example(6, "test", 1, form), task.draw("test", 6, 1)[0].rule
    right = review_answer(rule, STYLE_OF_FORM[form], example.response, example.response, stopped=True)
    assert right["error"] is None
    lines = example.response.split("\n")
    place = len(lines) // 2
    lines[place] += "0"
    wrong = review_answer(rule, STYLE_OF_FORM[form], example.response, "\n".join(lines), stopped=True)
    assert wrong["error"]["line"] == place + 1
