"""The benchmark of conversion runs, proves what it measured and leaves nothing behind."""

import json
import os

import pytest
from transformers import Qwen2Config

from tests.conftest import run_python


@pytest.fixture
def config(tmp_path):
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 2, "num_key_value_heads": 1}
    Qwen2Config(vocab_size=301, num_hidden_layers=2, architectures=["Qwen2ForCausalLM"], **shape).save_pretrained(
        tmp_path / "config"
    )
    (tmp_path / "work").mkdir()
    return tmp_path / "config"


@pytest.mark.slow
def test_a_measured_round_leaves_its_record_alone(config, tmp_path):
    arguments = ("--config", config, "--layers", 1, "--rounds", 1, "--folder", tmp_path / "work")
    done = run_python("tools/bench_convert.py", *arguments, "--output", tmp_path / "record.json")
    assert "GB of disk until it ends" in done.stderr
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["layers"], len(record["to_hf"]["runs"])) == (1, 1)
    assert record["from_hf"]["ratio_to_cp"] >= 0
    assert os.listdir(tmp_path / "work") == []


def test_too_small_a_disk_is_told_before_anything_is_written(config, tmp_path):
    larger = json.loads((config / "config.json").read_text()) | {"intermediate_size": 10**12}
    (config / "config.json").write_text(json.dumps(larger))
    arguments = ("--config", config, "--folder", tmp_path / "work", "--output", tmp_path / "record.json")
    done = run_python("tools/bench_convert.py", *arguments, check=False)
    assert done.returncode == 2
    assert "GB of disk are free; free more, or give --layers or another --folder" in done.stderr
    assert os.listdir(tmp_path / "work") == []
