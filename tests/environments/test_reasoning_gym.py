"""The tasks as a data set of reasoning-gym, in reasoning-gym itself."""

from importlib import import_module

import pytest

from megatron_rfft.common.errors import UserError
from tests.conftest import ROOT
from tests.end_to_end.test_readme import blocks

pytestmark = pytest.mark.slow
reasoning_gym = pytest.importorskip("reasoning_gym", reason="needs the extra reasoning-gym")


@pytest.fixture(scope="module", autouse=True)
def registered():
    import_module("megatron_rfft.environments.reasoning_gym")


def create(**settings):
    return reasoning_gym.create_dataset("rule_following", **{"seed": 1, "size": 40, **settings})


def test_the_example_of_the_page_runs():
    (example,) = blocks(ROOT / "examples/rl/README.md", "python")
    found = {}
    exec(example, found)
    assert found["reward"] == 1.0
    assert len(found["data"]) == 1000


def test_every_oracle_answer_is_worth_all_and_is_of_the_asked_lengths():
    data = create(tasks="coin_flip,length_int,random_strings", min_length=2, max_length=4)
    items = list(data)
    assert len(items) == 40
    for item in items:
        assert data.score_answer(item["answer"], item) == 1.0
        assert data.score_answer(item["metadata"]["value"], item) == 1.0  # what a trainer cuts out of tags
        assert [data.score_answer(wrong, item) for wrong in ("maybe", "", None)] == [0.0] * 3
        assert 2 <= item["metadata"]["length"] <= 4
        assert item["metadata"]["source_dataset"] == "rule_following"
    assert {item["metadata"]["task"] for item in items} == {"coin_flip", "length_int", "random_strings"}


def test_an_item_is_a_function_of_seed_and_index_and_neighbouring_seeds_share_little():
    settings = {"tasks": "length_int", "min_length": 8, "max_length": 8, "size": 50}
    questions = [[item["question"] for item in create(**settings, seed=seed)] for seed in (1, 1, 2)]
    assert questions[0] == questions[1]
    assert questions[0][7] == create(**settings, seed=1)[7]["question"]
    assert len({*questions[0], *questions[2]}) > 95


def test_the_splits_share_no_question():
    asked = {
        split: {item["question"] for item in create(tasks="length_int", split=split, size=300)}
        for split in ("train", "test")
    }
    assert asked["train"].isdisjoint(asked["test"])


def test_steps_are_part_of_the_score_where_they_are_asked_for():
    data = create(tasks="length_int", step_weight=0.5)
    item = data[0]
    lines = item["answer"].split("\n")
    assert data.score_answer(item["answer"], item) == 1.0
    assert data.score_answer("\n".join(lines[:4]), item) == 0.5 * 4 / len(lines)


def test_length_is_the_axis_of_the_curriculum():
    curriculum = reasoning_gym.factory.create_curriculum("rule_following")
    defaults = {"tasks": "length_int", "size": 60, "seed": 1}
    levels = []
    for _ in range(3):
        config = curriculum.generate_configuration(defaults)
        levels.append({item["metadata"]["length"] for item in create(**vars(config))})
        curriculum.increment_attr_level("length")
    assert levels[0] == {1, 2, 3, 4, 5}
    assert [min(lengths) < 5 for lengths in levels] == [True] * 3
    assert 5 < max(levels[1]) <= 10 < max(levels[2]) <= 15


def test_it_is_mixed_with_other_data_sets():
    specs = [
        reasoning_gym.composite.DatasetSpec("rule_following", 1.0, {"tasks": "coin_flip", "max_length": 4}),
        reasoning_gym.composite.DatasetSpec("leg_counting", 1.0, {}),
    ]
    data = reasoning_gym.create_dataset("composite", size=20, seed=1, datasets=specs)
    sources = set()
    for item in data:
        assert data.score_answer(item["answer"], item) == 1.0
        sources.add(item["metadata"]["source_dataset"])
    assert sources == {"rule_following", "leg_counting"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": "length_imt"}, "did you mean length_int"),
        ({"form": "prose"}, "form 'prose' is unknown; choose one of rule"),
        ({"split": "dev"}, "split 'dev' is unknown"),
        ({"min_length": 6}, "lengths are 6 to 5"),
        ({"size": 0}, "size is 0"),
        ({"step_weight": -1}, "step_weight is -1"),
        ({"tasks": "length_int", "min_length": 5000, "max_length": 5001}, "valid_lengths"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        create(**settings)


def test_a_length_with_few_instances_gives_those_there_are():
    places = [item["metadata"] for item in create(tasks="length_int", max_length=1, split="test", size=60)]
    indices = {place["index"] for place in places}
    assert indices == set(range(len(indices)))
    assert len(indices) < 10
