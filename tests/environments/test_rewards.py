"""What an answer is worth, and that verl and TRL are told the same."""

import sys
from importlib import import_module

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.corpus.export import export_corpora
from megatron_rfft.environments import trl
from megatron_rfft.environments.rewards import blend, example_of, outcome_reward, step_reward
from megatron_rfft.environments.verl import compute_score
from megatron_rfft.evaluation.steps import review_example
from megatron_rfft.tasks import FORMS, STYLE_OF_FORM, load_task

TASKS = ("length_int", "coin_flip", "random_strings+digits")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A corpus to train on and one to evaluate on."""
    folder = tmp_path_factory.mktemp("corpora")
    for split in ("train", "test"):
        generate_corpus(CorpusConfig({task: [3, 4] for task in TASKS}, samples=8, split=split), folder / split)
    return [folder / "train", folder / "test"]


@pytest.fixture(scope="module")
def rows(corpora, tmp_path_factory):
    """The rows of the layout ``rl`` as verl reads them."""
    output = tmp_path_factory.mktemp("export")
    export_corpora(corpora, output, layout="rl")
    return pyarrow.parquet.read_table(output / "rule/train-00000-of-00001.parquet").to_pylist()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_the_true_response_is_worth_all_and_nothing_is_worth_nothing(task, form):
    example = load_task(task).example(3, "train", 0, form)
    assert outcome_reward(example.response, example.answer) == step_reward(example, example.response) == 1.0
    assert step_reward(example, f"{example.response}\n") == 1.0
    assert outcome_reward("", example.answer) == step_reward(example, "") == 0.0
    assert step_reward(example, f"{example.response}\nand more") < 1.0


@given(st.sampled_from(sorted(STYLE_OF_FORM)), st.integers(2, 6), st.data())
def test_steps_are_the_share_of_lines_before_the_first_wrong_one(form, length, data):
    example = load_task("length_int").example(length, "train", 0, form)
    lines = example.response.split("\n")
    right = data.draw(st.integers(0, len(lines) - 1))
    rest = data.draw(st.sampled_from([["no line of a trace"], [], ["no line of a trace", *lines[right + 1 :]]]))
    if not rest and right == 0:
        rest = [""]
    assert step_reward(example, "\n".join([*lines[:right], *rest])) == right / len(lines)


def test_a_lucky_answer_is_worth_its_right_steps_only():
    example = load_task("length_int").example(4, "train", 0, "lean")
    lines = example.response.split("\n")
    lucky = "\n".join([*lines[:3], lines[-1]])
    assert outcome_reward(lucky, example.answer) == 1.0
    assert step_reward(example, lucky) == 3 / len(lines)
    assert review_example(example, lucky, stopped=True)["error"]["line"] == 4


def test_in_a_form_without_a_trace_the_answer_is_the_only_step():
    example = load_task("coin_flip").example(3, "train", 0, "cot-zero-shot")
    thought = f"I flip it in my head.\nSo the answer is {example.answer}"
    assert step_reward(example, thought) == 1.0
    assert step_reward(example, "So the answer is maybe") == 0.0


def test_a_blend_is_between_the_two():
    assert [blend(1.0, 0.5, weight) for weight in (0.0, 0.5, 1.0)] == [1.0, 0.75, 0.5]
    with pytest.raises(UserError, match=r"step_weight is 2.*from 0 .* to 1"):
        blend(1.0, 0.5, 2)


def test_a_row_names_its_example(rows):
    for row in rows:
        example = example_of(row["extra_info"])
        assert example.id == row["extra_info"]["id"]
        assert row["prompt"] == [{"role": "user", "content": example.prompt}]
        assert row["reward_model"] == {"style": "rule", "ground_truth": example.answer}
        assert row["data_source"] == f"{example.task}/{example.length}"
        assert example.split == "train"


def test_a_row_of_another_version_is_refused(rows):
    with pytest.raises(UserError, match=r"task \S+ has version \d+, the row has 99; write the rows again"):
        example_of({**rows[0]["extra_info"], "version": 99})


def test_verl_and_trl_are_told_the_same(rows):
    answers = [example_of(row["extra_info"]).response for row in rows]
    for number, answer in enumerate(answers):  # a third right, a third lucky, a third broken off
        lines = answer.split("\n")
        answers[number] = "\n".join((lines, lines[:2] + lines[-1:], lines[: len(lines) // 2])[number % 3])
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    outcomes, steps = trl.outcome(completions=answers, **columns), trl.steps(completions=answers, **columns)
    assert set(outcomes) == {0.0, 1.0}
    assert len(set(steps)) > 3
    for row, answer, outcome, share in zip(rows, answers, outcomes, steps, strict=True):
        asked = {"extra_info": {**row["extra_info"], "num_turns": 2}, "solution_str": answer}  # verl adds to it
        asked |= {"data_source": row["data_source"], "ground_truth": row["reward_model"]["ground_truth"]}
        assert compute_score(**asked) == {"score": outcome, "acc": outcome, "steps": share}
        assert compute_score(**asked, step_weight=0.5)["score"] == (outcome + share) / 2
    said = [[{"role": "assistant", "content": answer}] for answer in answers]
    assert trl.outcome(completions=said, **columns) == outcomes
    assert trl.steps(completions=said, **columns) == steps


def test_trl_takes_the_layout_records_too(corpora, rows, tmp_path):
    export_corpora(corpora, tmp_path)
    table = pyarrow.parquet.read_table(tmp_path / "rule/train-00000-of-00001.parquet").to_pydict()
    answers = [
        response.replace("now, ", "now ", 1) if i % 2 else response for i, response in enumerate(table["response"])
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for reward in (trl.outcome, trl.steps):
        assert reward(completions=answers, **table) == reward(completions=answers, **columns)
        with pytest.raises(UserError, match=r"no column '\w+'; write it with: rfft export-dataset --layout rl"):
            reward(completions=answers, other=table["id"])


@pytest.mark.parametrize(("package", "extra"), [("reasoning_gym", "reasoning-gym"), ("verifiers", "verifiers")])
def test_an_absent_package_is_named_with_its_extra(package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"megatron_rfft.environments.{package}", raising=False)
    with pytest.raises(UserError, match=rf"{extra} does not load \(.*\); install it: pip install -e \.\[{extra}\]"):
        import_module(f"megatron_rfft.environments.{package}")
