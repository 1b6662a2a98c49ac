"""Tasks whose rules have other names in each example: the same rule, the same question, true traces."""

import re

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import STYLES, Rule, false_lines
from megatron_rfft.rules.names import VARIABLES
from megatron_rfft.tasks import STYLE_OF_FORM, list_tasks, load_task
from megatron_rfft.tasks.prompts import build_prompt
from tests.tasks.oracle import disagreements


@pytest.mark.parametrize("name", list_tasks())
def test_a_renamed_rule_is_as_good_as_written_so(name):
    """Text for text what the interpreter gives for the renamed source."""
    task, plain = load_task(f"{name}+rename"), load_task(name)
    length = next(length for length in (4, *task.valid_lengths) if length in task.valid_lengths)
    problem, _ = task.draw("train", length, 0)
    rule = Rule(problem.rule.source)
    assert rule.source == problem.rule.source
    assert rule.sentences == problem.rule.sentences
    assert (rule.name, rule.parameters) == (problem.rule.name, problem.rule.parameters)
    assert problem.arguments == plain.draw("train", length, 0)[0].arguments
    for style in STYLES:
        assert rule.trace(*problem.arguments, style=style) == problem.rule.trace(*problem.arguments, style=style)


@pytest.mark.parametrize("name", ["add_int", "move_zeroes", "word_sorting", "sym_stack_manipulation"])
def test_the_oracles_know_the_renamed_rule(name):
    problem, _ = load_task(f"{name}+rename").draw("train", 4, 0)
    text = problem.rule.trace(*problem.arguments).text
    assert false_lines(problem.rule, text) == []
    assert disagreements(Rule(problem.rule.source), problem.arguments, text) == []


@pytest.mark.parametrize("form", ["rule", "lean", "rule-nl", "one-shot", "scratchpad", "direct"])
@pytest.mark.parametrize("name", ["add_int", "move_zeroes", "coin_flip", "logic_circuit"])
def test_every_form(name, form):
    task, plain = load_task(f"{name}+rename"), load_task(name)
    example = task.example(5, "train", 3, form)
    assert example == task.example(5, "train", 3, form)
    assert example.answer == plain.example(5, "train", 3, form).answer
    assert task.check(example.response, example.answer)
    if form != "one-shot":  # where the exemplar is another one
        question = plain.example(5, "train", 3, form).prompt.split("Q: ")[1]
        assert example.prompt.endswith(question)
    if form in STYLE_OF_FORM:
        rule = task.draw("train", 5, 3)[0].rule
        assert false_lines(rule, example.response, STYLE_OF_FORM[form], example.arguments) == []


def test_names_change_from_example_to_example():
    task = load_task("add_int+rename")
    headers = {task.draw("train", 5, index)[0].rule.source.split("\n")[0] for index in range(100)}
    assert len(headers) == 100
    words = re.findall(r"\w+", " ".join(headers))
    assert "add_int" not in words


def test_settings_say_which_names():
    task = load_task("add_int+rename+random_names=0+names=8")
    rules = [task.draw("train", 5, index)[0].rule for index in range(100)]
    names = {name for rule in rules for name in rule.parameters}
    assert len(names) == 8
    assert names <= set(VARIABLES)
    plain = load_task("add_int+rename+random_names=0")
    assert len({name for index in range(100) for name in plain.draw("train", 5, index)[0].rule.parameters}) > 30
    at_random = load_task("add_int+rename+random_names=1")
    drawn = {name for index in range(20) for name in at_random.draw("train", 5, index)[0].rule.parameters}
    assert not drawn & set(VARIABLES)


def test_some_examples_keep_their_names():
    task, plain = load_task("add_int+rename=0.5"), load_task("add_int")
    drawn = [(task.draw("train", 5, index)[0], plain.draw("train", 5, index)[0]) for index in range(100)]
    assert all(problem.arguments == other.arguments for problem, other in drawn)
    assert 30 < sum(problem.rule.source == other.rule.source for problem, other in drawn) < 70
    with pytest.raises(UserError, match="rename is 2; give a share of the examples, 1 or less"):
        load_task("add_int+rename=2")


def test_settings_that_say_nothing_are_the_usual_ones():
    task, plain = load_task("add_int+rename+random_names=0.25"), load_task("add_int+rename")
    assert [task.draw("train", 5, index)[0].rule.source for index in range(20)] == [
        plain.draw("train", 5, index)[0].rule.source for index in range(20)
    ]


def test_an_exemplar_is_another_instance():
    task = load_task("coin_flip+rename")
    for index in range(30):
        problem, rng = task.draw("train", 2, index)
        prompt, _, _ = build_prompt(task, "one-shot", problem, rng)
        questions = re.findall(r"Q: (.*)", prompt)
        assert len(set(questions)) == 2


def test_what_can_t_be_renamed():
    with pytest.raises(UserError, match="random_lists has other names in each example as it is; leave out"):
        load_task("random_lists+rename")
    with pytest.raises(UserError, match="no task is called 'add_int"):
        load_task("add_int+renamed")
    with pytest.raises(UserError, match=r"names is 2; add_int needs a whole number from \d to \d+"):
        load_task("add_int+rename+names=2")
    with pytest.raises(UserError, match=r"names is 8.5; add_int needs a whole number"):
        load_task("add_int+rename+names=8.5")
    with pytest.raises(UserError, match="no setting is called 'alphabet'; choose from rename, random_names, names"):
        load_task("add_int+rename+alphabet")
