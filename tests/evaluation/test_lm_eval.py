"""The task folder in lm-eval itself: the scores of tools/evaluate.py, for each task and length."""

import json
import os
from pathlib import Path

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.evaluation.lm_eval_tasks import LmEvalConfig, write_lm_eval_tasks
from megatron_rfft.evaluation.questions import draw_examples
from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import ROOT, run_python

TASKS, LENGTHS, SAMPLES = ("coin_flip", "valid_palindrome"), (3, 4, 6), 25
QUESTIONS = ("--tasks", ",".join(TASKS), "--lengths", "3,4,6", "--samples", SAMPLES, "--form", "direct")


@pytest.fixture(scope="module")
def bigram_model(small_data, tmp_path_factory) -> Path:
    """A Qwen2 whose attention and MLP add nothing: each token alone decides the next one.

    After the line break of a prompt it writes "So the answer is True", then stops.
    """
    folder = tmp_path_factory.mktemp("models") / "bigram"
    tokenizer = load_tokenizer(small_data.tokenizer)
    line_break, answer = tokenizer.encode("Q: ?\n")[-1], tokenizer.encode("So the answer is True")
    chain = [line_break, *answer, tokenizer.stop_id]
    assert len(set(chain)) == len(chain)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=tokenizer.vocab_size,
            hidden_size=64 * -(-tokenizer.vocab_size // 64),
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
            head_dim=64,
            max_position_embeddings=1024,
            tie_word_embeddings=False,
        )
    )
    following = torch.full((tokenizer.vocab_size,), line_break)
    following[chain[:-1]] = torch.tensor(chain[1:])
    for name, parameter in model.named_parameters():
        torch.nn.init.constant_(parameter, 1.0 if "norm" in name else 0.0)
    with torch.no_grad():
        model.model.embed_tokens.weight.fill_diagonal_(1.0)
        model.lm_head.weight[following, torch.arange(tokenizer.vocab_size)] = 1.0
    model.generation_config.eos_token_id = tokenizer.stop_id  # as exports say it; lm-eval goes by that
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def run_lm_eval(model: Path, tasks: Path, output: Path) -> dict:
    """Its results file."""
    arguments = ("--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu")
    arguments += ("--batch_size", "32", "--include_path", tasks, "--tasks", "megatron_rfft_direct")
    run_python("-m", "lm_eval", "run", *arguments, "--output_path", output, "--log_samples")
    (found,) = output.glob("*/results_*.json")
    return json.loads(found.read_text())


def test_lm_eval_gives_the_scores_of_evaluate(bigram_model, tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    tasks, run = tmp_path / "tasks", tmp_path / "run"
    run_python(ROOT / "tools/lm_eval_tasks.py", *QUESTIONS, "--tokenizer", bigram_model, "--output", tasks)
    moved = tasks.rename(tmp_path / "moved")  # nothing in it says where it lies
    theirs = run_lm_eval(bigram_model, moved, tmp_path / "lm-eval")
    run_python(
        ROOT / "tools/evaluate.py", *QUESTIONS, "--model", bigram_model, "--engine", "hf", "--no-chat", "--output", run
    )
    ours = json.loads((run / "results.json").read_text())
    accuracies = set()
    for task in TASKS:
        for length in LENGTHS:
            name, cell = f"megatron_rfft_direct_{task}_{length}", ours["tasks"][task]["cells"][str(length)]
            assert theirs["results"][name]["accuracy,none"] == pytest.approx(cell["accuracy"], abs=1e-12)
            assert theirs["n-samples"][name]["effective"] == cell["n"]
            accuracies.add(cell["accuracy"])
        correct, cells = ours["tasks"][task]["summary"]["correct"], ours["tasks"][task]["cells"].values()
        group = theirs["results"][f"megatron_rfft_direct_{task}"]
        assert group["accuracy,none"] == pytest.approx(correct / sum(cell["n"] for cell in cells))
    assert 0 < min(accuracies) < max(accuracies) < 1  # scores that a mistake would change


def test_the_folder_holds_the_questions_of_an_evaluation(tmp_path):
    config = LmEvalConfig(TASKS, LENGTHS, "lean", samples=5)
    manifest = write_lm_eval_tasks(config, tmp_path / "tasks")
    assert verify_manifest(tmp_path / "tasks/megatron_rfft.json", "lm-eval tasks") == []
    assert write_lm_eval_tasks(config, tmp_path / "tasks") == manifest
    lines = (tmp_path / "tasks/megatron_rfft_lean_coin_flip_4.jsonl").read_text().splitlines()
    examples = draw_examples(load_task("coin_flip"), 4, 5, "test", "lean")
    assert [json.loads(line)["prompt"] for line in lines] == [example.prompt for example in examples]
    assert [json.loads(line)["answer"] for line in lines] == [example.answer for example in examples]
    with pytest.raises(UserError, match="was begun with samples 5, this run has 6; give another --output"):
        write_lm_eval_tasks(LmEvalConfig(TASKS, LENGTHS, "lean", samples=6), tmp_path / "tasks")
    with pytest.raises(UserError, match="valid_lengths are"):
        write_lm_eval_tasks(LmEvalConfig(TASKS, (10**6,), "lean"), tmp_path / "other")
