"""The recipes for TRL take real steps on a toy model: GRPO on the rewards, SFT on the conversations."""

import json
import os
import shutil
import subprocess

import pytest
import torch
import yaml
from safetensors.torch import load_file

from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.corpus.export import export_corpora
from tests.conftest import ROOT
from tests.environments.conftest import page_command

pytestmark = pytest.mark.slow
pytest.importorskip("trl", reason="needs the extra trl")

TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}"
)
CPU = {"use_cpu": True, "bf16": False, "report_to": "none", "logging_steps": 1, "save_steps": 2, "max_steps": 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora") / "corpus"
    generate_corpus(CorpusConfig({"coin_flip": [2, 3, 4]}, samples=10, form="direct"), folder)
    return folder


@pytest.fixture(scope="module")
def model(bigram_model, tmp_path_factory):
    """The toy with a chat template that adds nothing but the stop token."""
    folder = shutil.copytree(bigram_model, tmp_path_factory.mktemp("models") / "chat")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def train(script: str, recipe: str, folder, **changes):
    """Run the page's command with some settings of its recipe changed; the log's entries."""
    settings = yaml.safe_load((ROOT / "examples/rl" / recipe).read_text()) | CPU
    settings |= {name: str(value) if isinstance(value, os.PathLike) else value for name, value in changes.items()}
    settings["output_dir"] = str(folder / "run")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    command = page_command(f"trl.scripts.{script}")
    assert command[-1] == f"examples/rl/{recipe}"
    command[-1] = str(folder / "recipe.yaml")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "run/checkpoint-2/trainer_state.json").read_text())["log_history"]


def has_moved(before, after) -> bool:
    """Whether training changed a weight."""
    old, new = load_file(before / "model.safetensors"), load_file(after / "model.safetensors")
    return any(not torch.equal(old[name].float(), tensor.float()) for name, tensor in new.items())


@pytest.mark.parametrize("layout", ["rl", "records"])
def test_grpo_takes_two_steps_on_the_outcome(layout, corpus, model, tmp_path):
    export_corpora([corpus], tmp_path / "data", layout=layout)
    names = [f"megatron_rfft.environments.trl.{name}" for name in ("outcome", "steps")]
    log = train(
        "grpo",
        "grpo.yaml",
        tmp_path,
        model_name_or_path=model,
        dataset_name=tmp_path / "data",
        dataset_config="direct",
        reward_funcs=names,
        use_vllm=False,
        num_generations=8,
        per_device_train_batch_size=32,
        gradient_accumulation_steps=1,
        max_completion_length=8,
        temperature=3.5,  # the toy is sure of itself: no two answers would differ
        learning_rate=1e-4,
    )
    steps = [entry for entry in log if "rewards/outcome/mean" in entry]
    assert len(steps) == 2
    assert all(0 < entry["rewards/outcome/mean"] < 1 for entry in steps)
    assert all(entry["rewards/outcome/mean"] == entry["rewards/steps/mean"] for entry in steps)  # the form has one step
    assert all(entry["grad_norm"] > 0 for entry in steps)
    assert has_moved(model, tmp_path / "run/checkpoint-2")


def test_sft_learns_the_responses_of_the_conversations(corpus, model, tmp_path):
    export_corpora([corpus], tmp_path / "data", layout="messages")
    log = train(
        "sft",
        "sft.yaml",
        tmp_path,
        model_name_or_path=model,
        dataset_name=tmp_path / "data",
        dataset_config="direct",
        gradient_accumulation_steps=1,
        learning_rate=0.01,
    )
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert len(losses) == 2
    assert 0 < losses[0] < float("inf")
    assert has_moved(model, tmp_path / "run/checkpoint-2")
