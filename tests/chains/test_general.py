"""General data and general tasks in a chain: what is tokenized, mixed in, asked and reported."""

from pathlib import Path

import pytest

from megatron_rfft.chains.chain import Chain
from megatron_rfft.chains.config import load_chain
from megatron_rfft.common.errors import UserError
from tests.chains.test_chain import chain_values, write
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Paths in the config are relative to the checkout."""
    monkeypatch.chdir(ROOT)


def chain(folder: Path, only=(), **sections) -> Chain:
    file = folder / "gsm8k.jsonl"
    file.touch()
    general = {
        "gsm8k": {"path": str(file)},
        "alpaca": {"path": str(file), "weight": 0.5, "stages": ["pretrain", "adapt"], "tokenize": ["--on-bad", "skip"]},
    }
    asked = {"tasks": ["gsm8k", "arc_challenge"], "options": ["--limit", "50"]}
    values = chain_values(folder / "run") | {"general": general, "evaluate_general": asked} | sections
    return Chain(load_chain(write(folder, values)), arms=only)


def lines(made: Chain, stage: str) -> list[str]:
    return [task.script.replace(str(made.run), "RUN").splitlines()[1] for task in made.stage(stage).tasks]


def test_data_is_tokenized_once_and_mixed_into_its_stages(tmp_path):
    made = chain(tmp_path)
    data = made.stage("data").tasks
    names = {task.name: number for number, task in enumerate(data)}
    file = tmp_path / "gsm8k.jsonl"
    line = lines(made, "data")[names["general/alpaca"]]
    assert f"tokenize_corpus.py --input {file} --messages --task-name alpaca --tokenizer " in line
    assert "--on-bad skip --output RUN/data/general/alpaca" in line
    run = made.run
    (pretrain,) = made.models.pretrained.values()
    assert [(source.path, source.weight) for source in pretrain.config.data.train] == [
        (str(run / "data/pretrain"), 1.0),
        (str(run / "data/general/gsm8k"), 1.0),
        (str(run / "data/general/alpaca"), 0.5),
    ]
    assert made.stage("pretrain").tasks[0].needs["data"] == [
        names[name] for name in ("validation", "general/gsm8k", "general/alpaca")
    ]
    (adapt, _) = made.models.adapted.values()
    assert [source.path for source in adapt.config.data.train] == [
        str(run / "data/adapt/add_int"),
        str(run / "data/general/alpaca"),
    ]
    assert made.stage("adapt").tasks[0].needs["data"] == [names["adapt/add_int"], names["general/alpaca"]]


def test_the_model_is_asked_before_and_the_trained_one_after(tmp_path):
    made = chain(tmp_path)
    tasks = made.stage("general").tasks
    assert [task.name for task in tasks] == ["base", "pretrain"]
    before, after = lines(made, "general")
    asked = "--engine vllm --tasks gsm8k,arc_challenge --tensor-parallel 2 --limit 50 --output RUN/general"
    assert before.endswith(f"evaluate_general.py --model {ROOT / 'examples/models/qwen2.5-7b'} {asked}/base")
    assert after.endswith(f"evaluate_general.py --model RUN/models/pretrain {asked}/pretrain")
    exports = [task.name for task in made.stage("convert").tasks]
    assert [task.needs for task in tasks] == [{}, {"convert": [exports.index("pretrain")]}]
    report = made.stage("report").tasks[0]
    assert "--general before=RUN/general/base --general pretrain=RUN/general/pretrain" in lines(made, "report")[0]
    assert report.needs["general"] == [0, 1]


def test_adapted_models_are_asked_if_that_is_wanted_and_no_others_than_the_arms_of_a_run(tmp_path):
    asked = {"tasks": ["gsm8k"], "adapted": True}
    made = chain(tmp_path, evaluate_general=asked)
    assert [task.name for task in made.stage("general").tasks] == [
        "base",
        "pretrain",
        "meta/add_int",
        "meta/digit_max_int",
    ]
    only = chain(tmp_path, only=["meta"], evaluate_general=asked)
    assert only.stage("report").tasks[0].needs["general"] == [0, 2, 3]
    assert only.missing()["general"] == [0, 2, 3]


def test_without_either_nothing_changes(tmp_path):
    made = chain(tmp_path, general={}, evaluate_general={})
    assert "general" not in [stage.name for stage in made.stages]
    assert "--general" not in lines(made, "report")[0]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"general": {"x": {"path": "a", "stages": ["train"]}}},
            "general.x.stages is 'train'; it must be 'pretrain' or",
        ),
        ({"general": {"x": {"path": "a", "stages": []}}}, r"general.x.stages is \[\]; it must have at least 1"),
        ({"general": {"x": {"path": "a", "weight": 0}}}, "general.x.weight is 0; it must be above 0"),
        ({"general": {"x": {}}}, "general.x.path is not set"),
        ({"general": {"a/b": {"path": "a"}}}, "general: 'a/b' becomes a folder's name"),
        ({"arms": {"meta": None}}, "no trained model to ask; set adapted: true, or add the arm zero-shot"),
    ],
)
def test_wrong_values(tmp_path, sections, message):
    with pytest.raises(UserError, match=message):
        chain(tmp_path, **sections)


def test_absent_data_is_named_before_anything_runs(tmp_path):
    made = chain(tmp_path, general={"x": {"path": "absent.jsonl"}})
    with pytest.raises(UserError, match=r"general.x.path absent.jsonl is not there"):
        made.check_inputs()
