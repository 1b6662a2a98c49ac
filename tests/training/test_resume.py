"""A run that is resumed with other keys: what is the same run goes on, and what stays refused says what to do."""

import json
import re
import shutil

import pytest
import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.training.checkpoint_files import adapter_section, base_of, base_reference
from megatron_rfft.training.config_reader import config_from_dict
from megatron_rfft.training.run_config import write_run_config
from tests.conftest import run_python
from tests.training.conftest import STEPS, pretend_checkpoint, small_config
from tests.training.launched import losses

TRAIN = ("-m", "megatron_rfft.train", "--config")


def moved(small_data, folder):
    """The data set under another name in another folder."""
    folder.mkdir()
    for file in small_data.prefix.parent.glob(f"{small_data.prefix.name}.*"):
        copy = shutil.copytree if file.is_dir() else shutil.copy
        copy(file, folder / file.name.replace(small_data.prefix.name, "other", 1))
    manifest = folder / "other.manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"{small_data.prefix.name}.', '"other.'))
    return folder / "other"


def test_a_longer_run_on_moved_data_equals_one_that_was_never_stopped(small_data, tmp_path):
    values = small_config(small_data.prefix, tmp_path / "run")
    values["optimizer"] |= {"schedule": "constant", "warmup_steps": 1}
    values["run"]["steps"], values["logging"]["tensorboard"] = 2, False
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(values))
    whole = ("--run.output", tmp_path / "whole", "--run.steps", STEPS)
    run_python(*TRAIN, config, *whole)
    run_python(*TRAIN, config)
    run_python(*TRAIN, config, "--run.steps", STEPS, "--data.train", moved(small_data, tmp_path / "moved"))
    assert len(losses(tmp_path / "run")) == STEPS
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    kept = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (kept["run"]["steps"], kept["data"]["train"]) == (STEPS, [str(tmp_path / "moved" / "other")])


@pytest.fixture
def resumed(small_data, tmp_path):
    """Writes the config of a run with a checkpoint, with changed sections."""

    def write(has_saved: bool = True, prefix=small_data.prefix, **changes: dict) -> None:
        values = small_config(prefix, tmp_path / "run")
        for section, keys in changes.items():
            values.setdefault(section, {}).update(keys)
        config = config_from_dict(values)
        write_run_config(config, {"data.train": [Documents(source.path) for source in config.data.train]})
        if has_saved:
            pretend_checkpoint(tmp_path / "run")

    return write


def test_more_steps_of_a_decaying_schedule_are_another_run(resumed, tmp_path):
    resumed()
    with pytest.raises(UserError) as refused:
        resumed(run={"steps": 9})
    why = f"run.steps {STEPS}, this one has 9 (optimizer.schedule cosine reaches its end at the last step)"
    assert why in str(refused.value)
    advice = (
        rf"start a new run from its weights: --run.output OTHER --checkpoint.load {tmp_path}/run/checkpoints/step-0+3$"
    )
    assert re.search(advice, str(refused.value))


def test_other_data_under_the_same_path_is_refused(resumed, small_data, tmp_path):
    prefix = moved(small_data, tmp_path / "moved")
    resumed(prefix=prefix)
    resumed(prefix=small_data.prefix)  # the same data
    resumed(prefix=prefix)
    shutil.rmtree(prefix.parent)
    (tmp_path / "one.jsonl").write_text(json.dumps({"prompt": "Q: 1", "response": "x"}))
    tokenize_corpus(tmp_path / "one.jsonl", small_data.tokenizer, prefix)
    with pytest.raises(
        UserError, match=r"holds a run on other data than data\.train \[.*\] has now; make them equal, or"
    ):
        resumed(prefix=prefix)


def test_a_weight_is_part_of_the_data(resumed, small_data):
    resumed()
    with pytest.raises(UserError, match=r"data\.train \[.*\], this one has \[{.*'weight': 2.0}\]"):
        resumed(data={"train": {str(small_data.prefix): 2}})


def test_the_checkpoint_that_a_run_began_with_may_move(resumed, tmp_path):
    for name, step in (("base", 1), ("moved", 1), ("another", 2)):
        pretend_checkpoint(tmp_path / name, step)

    def load(name: str, step: int = 1) -> dict:
        return {"load": str(tmp_path / name / "checkpoints" / f"step-{step:08d}")}

    resumed(checkpoint=load("base"))
    resumed(checkpoint=load("moved"))
    shutil.rmtree(tmp_path / "moved")
    resumed(checkpoint=load("moved"))  # the run's own checkpoints do without it
    resumed(checkpoint=load("base"))
    shutil.rmtree(tmp_path / "base")
    (tmp_path / "base").symlink_to(tmp_path / "another")  # as "best" may lead to a newer one
    pretend_checkpoint(tmp_path / "base", 1)
    (tmp_path / "another" / "checkpoints/step-00000001/manifest.json").write_text("{}")
    resumed(checkpoint=load("base"))
    pretend_checkpoint(tmp_path / "again", 1)
    resumed(checkpoint=load("again"))
    with pytest.raises(UserError, match=r"checkpoint\.load '.*/again/.*', this one has '.*/another/"):
        resumed(checkpoint=load("another", 2))


def test_adapters_find_the_weights_that_have_moved_to_the_new_path(tmp_path):
    base, adapters = tmp_path / "base" / "checkpoints", tmp_path / "run" / "checkpoints" / "step-00000003"
    pretend_checkpoint(tmp_path / "base", 1)
    section = adapter_section({}, base_reference(base / "step-00000001"), adapters)
    manifest = {"adapter": section, "config": {"checkpoint": {"load": str(base / "step-00000001")}}}
    (tmp_path / "base").rename(tmp_path / "elsewhere")
    now = tmp_path / "elsewhere" / "checkpoints" / "step-00000001"
    with pytest.raises(UserError, match="are not there; put that checkpoint back"):
        base_of(adapters, manifest)
    assert base_of(adapters, manifest, now=now) == now


def test_a_run_without_a_checkpoint_may_become_another(resumed):
    """Whatever ended it, its error's advice helps nobody else."""
    resumed(has_saved=False)
    resumed(has_saved=False, optimizer={"lr": 1e-5}, run={"steps": 30})
    resumed()
    with pytest.raises(UserError, match=r"optimizer\.lr 0\.003, this one has 1e-05"):
        resumed(optimizer={"lr": 1e-5})
