"""General ability through a whole chain on this machine: data mixed in, tasks asked before and after, one table."""

import json
import os
from pathlib import Path

import pytest
import yaml
from transformers import Qwen2Config, Qwen2ForCausalLM

from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import run_python
from tests.evaluation.made_up import LM_EVAL_TASK
from tests.tokenization.chat import chat_folder_of


def chat_model(small_data, folder: Path) -> Path:
    """A random Qwen2 of a chat model's form."""
    folder.mkdir()
    vocab_size = load_tokenizer(chat_folder_of(small_data.tokenizer, folder)).vocab_size
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    config = Qwen2Config(vocab_size=vocab_size, max_position_embeddings=1024, **shape, **heads)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_chain_mixes_general_data_in_and_asks_before_and_after(small_data, tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    model = chat_model(small_data, tmp_path / "model")
    chats = [
        {"messages": [{"role": "user", "content": f"{n} + 1?"}, {"role": "assistant", "content": f"It is {n + 1}."}]}
        for n in range(30)
    ]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    (tmp_path / "tasks").mkdir()
    questions = [{"question": f"x{n}?", "choices": ["a", "b"], "label": n % 2} for n in range(8)]
    asked = tmp_path / "tasks/sums-test.jsonl"
    asked.write_text("".join(json.dumps(row) + "\n" for row in questions))
    (tmp_path / "tasks/sums.yaml").write_text(LM_EVAL_TASK.format(name="sums", file=asked))
    preset = {"tasks": "coin_flip,length_int", "lengths": "2-3", "samples": 20, "form": "lean"}
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(preset))
    run = {
        "run": {"output": "unused", "steps": 4},
        "model": {"hf_config": str(model)},
        "data": {"sequence_length": 512},
        "batch": {"global_batch_size": 8},
        "precision": {"dtype": "fp32"},
        "logging": {"interval": 1},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    chain = {
        "run": str(tmp_path / "chain"),
        "model": str(model),
        "corpus": {"preset": str(tmp_path / "preset.yaml"), "parts": 1, "validation": None, "tokenize": ["--chat"]},
        "pretrain": {"config": str(tmp_path / "run.yaml")},
        "general": {"sums": {"path": str(tmp_path / "sums.jsonl"), "weight": 2}},
        "evaluate": {"tasks": ["coin_flip"], "lengths": "2", "samples": 2, "engine": "hf"},
        "evaluate_general": {"tasks": ["sums"], "include_path": str(tmp_path / "tasks")},
        "local": {"cores": 2},
    }
    (tmp_path / "chain.yaml").write_text(yaml.safe_dump(chain))
    run_python("tools/submit.py", "--config", tmp_path / "chain.yaml", "--local", timeout=1200)

    losses = [json.loads(line) for line in (tmp_path / "chain/pretrain/losses.jsonl").read_text().splitlines()]
    assert "sums" in json.dumps(losses)
    described = json.loads((tmp_path / "chain/models/pretrain/megatron_rfft.json").read_text())
    assert (described["form"], described["chat"]) == ("lean", True)
    assert [(part["name"], part["weight"], part["form"]) for part in described["data"]] == [
        ("pretrain", 1.0, "lean"),
        ("sums", 2.0, None),
    ]
    report = json.loads((tmp_path / "chain/report/results.json").read_text())
    (row,) = report["general"]
    assert (row["task"], row["metric"], row["questions"], list(row["scores"])) == (
        "sums",
        "acc",
        8,
        ["before", "pretrain"],
    )
    assert "<h2>General ability</h2>" in (tmp_path / "chain/report/report.html").read_text()
    assert "## General ability" in (tmp_path / "chain/report/report.md").read_text()
    assert verify_manifest(tmp_path / "chain/general/pretrain/results.json", "general results") == []
