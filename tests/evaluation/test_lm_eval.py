"""The task folder in lm-eval itself: the scores of tools/evaluate.py, for each task and length."""

import json
import os
from pathlib import Path

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.evaluation.lm_eval_tasks import LmEvalConfig, write_lm_eval_tasks
from megatron_rfft.evaluation.questions import draw_examples
from megatron_rfft.tasks import load_task
from tests.conftest import ROOT, run_python

TASKS, LENGTHS, SAMPLES = ("coin_flip", "valid_palindrome"), (3, 4, 6), 25
QUESTIONS = ("--tasks", ",".join(TASKS), "--lengths", "3,4,6", "--samples", SAMPLES, "--form", "direct")


def run_lm_eval(model: Path, tasks: Path, output: Path) -> dict:
    """Its results file."""
    arguments = ("--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu")
    arguments += ("--batch_size", "32", "--include_path", tasks, "--tasks", "megatron_rfft_direct")
    run_python("-m", "lm_eval", "run", *arguments, "--output_path", output, "--log_samples")
    (found,) = output.glob("*/results_*.json")
    return json.loads(found.read_text())


def test_lm_eval_gives_the_scores_of_evaluate(bigram_model, tmp_path, monkeypatch):
    pytest.importorskip("lm_eval", reason="needs the extra lm-eval")
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
