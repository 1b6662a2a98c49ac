"""``checkpoint.export_hf``: the trainer leaves a Hugging Face folder with its checkpoints."""

import shutil

import yaml

from megatron_rfft.common.files import read_json
from megatron_rfft.conversion.compare_models import first_difference
from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.data.splits import warn_of_asked
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from tests.conftest import run_python
from tests.training.conftest import small_config


def test_a_run_exports_its_last_checkpoint(small_data, tmp_path):
    config = small_config(small_data.prefix, tmp_path / "run")
    config["run"]["steps"] = 4
    config["checkpoint"] = {"interval": 2, "keep": 1, "export_hf": True}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "run/hf/step-00000000").mkdir(parents=True)  # of a checkpoint that is gone
    done = run_python("-m", "megatron_rfft.train", "--config", tmp_path / "run.yaml")
    assert "test questions" not in done.stderr
    assert [path.name for path in (tmp_path / "run/hf").iterdir()] == ["step-00000004"]
    name = "step-00000004"
    assert first_difference(tmp_path / "run/hf" / name, tmp_path / "run/checkpoints" / name) == ""


def test_a_run_on_test_questions_warns_and_its_model_says_so(small_data, tmp_path):
    generate_corpus(CorpusConfig({"length_int": (4,)}, samples=10, split="test", form="lean"), tmp_path / "corpus")
    tokenize_corpus(tmp_path / "corpus", small_data.tokenizer, tmp_path / "tested")
    config = small_config(small_data.prefix, tmp_path / "run")
    config["run"]["steps"] = 3
    config["data"]["train"] = {str(small_data.prefix): 0.5, str(tmp_path / "tested"): 2}
    config["checkpoint"] = {"export_hf": True}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    done = run_python("-m", "megatron_rfft.train", "--config", tmp_path / "run.yaml")
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert f"{tmp_path / 'tested'} of data.train: 10 of 10 documents are instances of split test" in warning
    assert read_json(tmp_path / "run/inputs.json")["splits"]["data.train"] == [{"train": 420}, {"test": 10}]
    exported = read_json(tmp_path / "run/hf/step-00000003/megatron_rfft.json")
    assert [(part["name"], part["splits"]) for part in exported["data"]] == [
        (small_data.prefix.name, {"train": 420}),
        ("tested", {"test": 10}),
    ]

    base = tmp_path / "run/checkpoints/step-00000003"
    adapted = ("--checkpoint.load", base, "--data.train", small_data.prefix, "--run.output", tmp_path / "adapted")
    schedule = ("--optimizer.schedule", "constant")
    for steps in (3, 4):  # the second continues, by then perhaps without the base
        done = run_python(
            "-m", "megatron_rfft.train", "--config", tmp_path / "run.yaml", *adapted, *schedule, "--run.steps", steps
        )
        shutil.rmtree(base, ignore_errors=True)
        assert "warning: " not in done.stderr
    of_both = read_json(tmp_path / "adapted/hf/step-00000004/megatron_rfft.json")["data"]
    assert [(part["name"], part["splits"], part.get("base", False)) for part in of_both] == [
        (small_data.prefix.name, {"train": 420}, False),
        (small_data.prefix.name, {"train": 420}, True),
        ("tested", {"test": 10}, True),
    ]
    assert "was trained from was trained on tested" in warn_of_asked(of_both, "test", ["length_int"])
