"""tools/submit.py without a cluster: what it would submit, and which configs it refuses."""

import shlex
from pathlib import Path

import pytest
import yaml

from megatron_rfft.chains.chain import Chain
from megatron_rfft.chains.config import load_chain
from megatron_rfft.common.errors import UserError
from megatron_rfft.training.config_reader import load_config
from tests.conftest import ROOT, run_python

GOLDEN = Path(__file__).parent / "golden" / "chain.txt"


def chain_values(run: Path) -> dict:
    return {
        "run": str(run),
        "model": "examples/models/qwen2.5-7b",
        "corpus": {"preset": "rf-pretrain", "parts": 2, "options": ["--form", "rule-nl"]},
        "pretrain": {"config": "examples/qwen2.5-7b/rf-pretrain.yaml", "nodes": 2},
        "adapt": {"config": "examples/qwen2.5-7b/adapt.yaml", "tasks": ["add_int,digit_max_int"]},
        "evaluate": {"lengths": "2-30:4", "samples": 50, "tensor_parallel": 2, "replicas": 2},
        "slurm": {"all": ["--partition=gpu"], "stage_variables": {"evaluate": {"PYTHON": "/opt/eval/bin/python"}}},
    }


def write(folder: Path, values: dict) -> Path:
    file = folder / "chain.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


def test_a_dry_run_prints_the_commands_and_scripts_on_record_and_writes_nothing(tmp_path):
    run = tmp_path / "run"
    done = run_python("tools/submit.py", "--config", write(tmp_path, chain_values(run)), "--dry-run")
    printed = done.stdout.replace(str(run), "RUN").replace(str(ROOT), "ROOT")
    assert printed == GOLDEN.read_text(), f"if this is meant to change, put it into {GOLDEN}:\n{printed}"
    assert not run.exists()


def test_a_done_task_of_an_array_is_left_out(tmp_path):
    (tmp_path / "run/data/adapt").mkdir(parents=True)
    (tmp_path / "run/data/adapt/add_int.manifest.json").touch()
    chain = Chain(load_chain(write(tmp_path, chain_values(tmp_path / "run"))))
    assert chain.missing()["data"] == [1, 2]
    assert "--array=1,2" in chain.stage("data").command([1, 2], "")


def test_a_path_may_have_spaces_and_signs(tmp_path):
    """In what the stages run, in the trainers' options and in Slurm's own patterns."""
    run, values = tmp_path / "my runs: 100% of it's #1", chain_values(tmp_path)
    values |= {"run": str(run), "general": {"chat": {"path": "chat.jsonl"}}}
    values["adapt"]["options"] = ["--logging.profile", "[1, 2]"]
    chain = Chain(load_chain(write(tmp_path, values)))
    for training in (*chain.models.pretrained.values(), *chain.models.adapted.values()):
        config = training.config
        read = [config.run.output, config.data.train[0].path, config.checkpoint.load, *config.validation.data]
        assert all(path.startswith(f"{run}/") for path in read)
        assert load_config(training.file, training.options) == config
    assert [run.config.logging.profile for run in chain.models.adapted.values()] == 2 * [[1, 2]]
    for stage in chain.stages:
        output = next(word for word in stage.command([0], "") if word.startswith("--output="))
        assert output.replace("%%", "%").startswith(f"--output={run}/chain/{stage.name}-%")
        for task in stage.tasks:
            words = [shlex.split(line) for line in task.script.splitlines() if "$PYTHON" in line]
            assert all(word.count(str(run)) == word.count("my runs") for line in words for word in line)
            assert any(str(run) in word for line in words for word in line)
    with pytest.raises(UserError, match=r"run '.*a,b' has ',' in it, which commands take for an end; name another"):
        load_chain(write(tmp_path, values), run=tmp_path / "a,b")


def test_text_of_a_chain_stays_as_it_is_written(tmp_path):
    """YAML 1.1 takes these for 36000, 8, 1.1 and a boolean."""
    values = chain_values(tmp_path)
    del values["slurm"]
    file = write(tmp_path, values)
    slurm = "slurm: {all: [--time, 10:00:00], variables: {A: 010, B: 1.10, C: no}, stages: {adapt: --nice=1}}\n"
    file.write_text(file.read_text() + slurm)
    slurm = load_chain(file).slurm
    assert slurm.all == ["--time", "10:00:00"]
    assert slurm.variables == {"A": "010", "B": "1.10", "C": "no"}
    assert slurm.stages == {"adapt": ["--nice=1"]}


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("pretrain", {"nods": 1}, "unknown key pretrain.nods; keys are config, nodes"),
        ("pretrain", {"nodes": "two"}, "pretrain.nodes is 'two'; it must be a whole number"),
        ("pretrain", {"nodes": 0}, "pretrain.nodes is 0"),
        ("pretrain", {"options": ["--run.stepz", "1"]}, "unknown key run.stepz"),
        ("adapt", {"tasks": []}, "adapt.config and adapt.tasks belong together"),
        ("adapt", {"tasks": ["add_itn"]}, "add_itn"),
        ("evaluate", {"lengths": "9-2"}, "lengths '9-2'"),
        ("slurm", {"stages": {"train": []}}, "unknown key slurm.stages.train; it must be 'generate'"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path, section, change, message):
    values = chain_values(tmp_path)
    values[section] = values[section] | change
    with pytest.raises(UserError, match=message.replace("?", "\\?")):
        Chain(load_chain(write(tmp_path, values)))
