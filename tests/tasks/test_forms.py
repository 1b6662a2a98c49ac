"""Prompt forms beyond what holds for every task: exemplars, random rules, answers of models that think first."""

from collections import Counter

import pytest

from megatron_rfft.rules import Rule, false_lines
from megatron_rfft.tasks import FORMS, RANDOM_LISTS, SPLITS, STYLE_OF_FORM, list_tasks, load_task
from megatron_rfft.tasks.exemplars import FEWER_STEPS_THAN

FIRST = "Here is 1 example:\n"
THEN = "\n\nFollow the above examples to answer the following question:\n"


def split_one_shot(prompt: str) -> tuple[str, str]:
    """The exemplar's prompt with its trace, and the query's prompt."""
    shown, query = prompt.removeprefix(FIRST).split(THEN)
    assert prompt.startswith(FIRST)
    return shown, query


@pytest.mark.parametrize("name", list_tasks(role="held-out"))
def test_an_exemplar_is_short_another_and_never_a_test_question(name):
    task = load_task(name)
    training = set()
    for length in task.valid_lengths[:4]:
        for index in range(400):
            try:
                prompt = task.example(length, "train", index, "direct").prompt
            except ValueError:
                break
            training.add(prompt.removeprefix("Q: "))
    few = 0
    for index in range(15):
        example = task.example(12, "test", index, "one-shot")
        shown, query = split_one_shot(example.prompt)
        assert shown.split("Q: ")[1].split("\n")[0] not in query
        few += shown.count(".1 One iteration\n") < FEWER_STEPS_THAN
        assert shown.endswith(shown.split("So the answer is ")[1])
    assert few >= 12
    tested = {task.example(12, "test", index, "direct").prompt for index in range(15)}
    assert not {f"Q: {question}" for question in training} & tested


def test_an_exemplar_has_steps_where_the_task_does():
    steps = Counter()
    for index in range(40):
        shown, _ = split_one_shot(load_task("add_int").example(10, "train", index, "one-shot").prompt)
        steps[shown.count("2.1 One iteration\n")] += 1
    assert set(steps) <= {2, 3, 4}
    assert len(steps) == 3


def test_a_scratchpad_shows_the_work_without_the_rule():
    example = load_task("length_int").example(3, "train", 0, "scratchpad")
    (number,) = example.arguments
    states = [f"num = {number[place:]!r}, result = {place}" for place in range(4)]
    assert example.response == "\n".join([*states, "So the answer is 3"])


def test_a_model_that_thinks_first_is_told_the_form_of_its_answer():
    task = load_task("coin_flip")
    example = task.example(4, "test", 0, "cot-zero-shot")
    assert "one line `So the answer is X`" in example.prompt
    assert "rule" not in example.prompt
    answer = f"So the answer is {example.answer}"
    assert task.check(f"<think>So the answer is 7?\nNo.</think>\n\nEach flip counts.\n{answer}", example.answer)
    assert task.check(answer, example.answer)
    assert not task.check(f"<think>{answer}</think>\n", example.answer)
    assert not task.check(f"{answer}\n<think>", example.answer)


@pytest.mark.parametrize("form", FORMS)
def test_random_rules_in_every_form(form):
    task = load_task(RANDOM_LISTS)
    for index in range(10):
        example = task.example(7, "train", index, form)
        assert example == task.example(7, "train", index, form)
        assert task.check(example.response, example.answer)
        query = split_one_shot(example.prompt)[1] if form == "one-shot" else example.prompt
        if form in ("rule", "lean", "rule-blocks", "one-shot"):
            rule = Rule(query.split("rule:\n")[1].split("\n\nQ: ")[0])
            assert false_lines(rule, example.response, STYLE_OF_FORM[form], example.arguments) == []
            assert repr(rule.run(*example.arguments)) == example.answer
        if form == "one-shot":
            assert rule.source not in example.prompt.split(THEN)[0], "the exemplar follows a rule of its own"


def test_random_rules_are_distinct_and_their_splits_disjoint():
    task = load_task(RANDOM_LISTS)
    drawn = {split: [task.draw(split, 6, index)[0] for index in range(300)] for split in SPLITS}
    keys = {split: {repr((found.rule.source, found.arguments)) for found in each} for split, each in drawn.items()}
    assert [len(found) for found in keys.values()] == [300] * 3
    assert not keys["train"] & keys["test"]
    assert RANDOM_LISTS not in list_tasks()
