"""General tasks in lm-eval: its scores, kept task by task, beside those of an earlier model."""

import itertools
import json
import random
import string
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.evaluation.general import GeneralConfig, _ask, evaluate_general, format_general, general_rows
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import ROOT, run_python
from tests.evaluation.made_up import LM_EVAL_TASK

TaskManager = pytest.importorskip("lm_eval.tasks", reason="needs the extra lm-eval").TaskManager


@pytest.fixture(scope="module")
def own_tasks(tmp_path_factory) -> Path:
    """Two tasks of 20 questions with four choices each."""
    folder, noise = tmp_path_factory.mktemp("tasks"), random.Random(3)
    for name, letters in (("letters", string.ascii_lowercase), ("capitals", string.ascii_uppercase)):
        rows = [
            {"question": "".join(noise.choices(letters, k=8)), "choices": list("abcd"), "label": noise.randrange(4)}
            for _ in range(20)
        ]
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / f"{name}.yaml").write_text(LM_EVAL_TASK.format(name=name, file=file))
    return folder


def accuracy(model_folder: Path, questions: Path) -> float:
    """How often the right choice has the highest logit after the question."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(model_folder), load_tokenizer(model_folder)
    choices, right = [tokenizer.encode(choice)[0] for choice in "abcd"], []
    for row in map(json.loads, questions.read_text().splitlines()):
        with torch.inference_mode():
            logits = model(torch.tensor([tokenizer.encode(row["question"])])).logits[0, -1, choices]
        right.append(int(logits.argmax()) == row["label"])
    return sum(right) / len(right)


def test_scores_are_those_of_the_model_and_what_is_finished_is_kept(tiny_model, own_tasks, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    config = GeneralConfig(tiny_model, ("letters", "capitals"), own_tasks, engine="hf")
    results = evaluate_general(config, tmp_path / "run")
    for name in config.tasks:
        found = results["tasks"][name]
        assert found["questions"] == 20
        assert found["metrics"]["acc"]["value"] == pytest.approx(accuracy(tiny_model, own_tasks / f"{name}.jsonl"))
        assert 0 < found["metrics"]["acc"]["stderr"] < 0.2
    assert verify_manifest(tmp_path / "run/results.json", "general results") == []
    assert len((tmp_path / "run/samples/letters.jsonl").read_text().splitlines()) == 20

    with monkeypatch.context() as patch:  # killed before the second task was there: the first one is not asked again
        patch.setattr("megatron_rfft.evaluation.general._ask", lambda *_: itertools.islice(_ask(*_), 1))
        with pytest.raises(UserError, match=r"no such file: .*capitals\.json"):
            evaluate_general(config, tmp_path / "killed")
        kept = (tmp_path / "killed/tasks/letters.json").stat().st_mtime_ns
    assert evaluate_general(config, tmp_path / "killed")["tasks"] == results["tasks"]
    assert (tmp_path / "killed/tasks/letters.json").stat().st_mtime_ns == kept
    with monkeypatch.context() as patch:
        patch.setattr("megatron_rfft.evaluation.general._ask", lambda *_: pytest.fail("asked again"))
        assert evaluate_general(config, tmp_path / "killed")["tasks"] == results["tasks"]
    with pytest.raises(UserError, match=r"was begun with limit None, this run has 3; give another --output"):
        evaluate_general(GeneralConfig(tiny_model, config.tasks, own_tasks, engine="hf", limit=3), tmp_path / "run")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/notes.txt").touch()
    with pytest.raises(UserError, match=r"notes holds notes\.txt but no run of this kind; give another --output"):
        evaluate_general(config, tmp_path / "notes")
    only_own = partial(TaskManager, include_path=str(own_tasks), include_defaults=False)
    monkeypatch.setattr("lm_eval.tasks.TaskManager", lambda **_: only_own())  # its own tasks take 10 s to read
    with pytest.raises(UserError, match="lm-eval has no task 'unheard_of'"):
        evaluate_general(GeneralConfig(tiny_model, ("unheard_of",), own_tasks, engine="hf"), tmp_path / "other")


def results(**values):
    metrics = {"acc": lambda value: {"value": value, "stderr": 0.01}}
    settings = {"chat": False, "fewshot": None, "limit": None, "lm_eval": "1", "own_tasks": {}}
    tasks = {
        name: {"metrics": {"acc": metrics["acc"](value)}, "questions": 50, "version": 1}
        for name, value in values.items()
    }
    return {"settings": settings, "tasks": tasks}


def test_before_and_after_stand_side_by_side():
    runs = {"before": results(gsm8k=0.8795, arc=0.8788), "after": results(gsm8k=0.878)}
    rows = general_rows(runs)
    assert [(row["task"], row["metric"], row["questions"]) for row in rows] == [
        ("gsm8k", "acc", 50),
        ("arc", "acc", 50),
    ]
    assert rows[0]["scores"]["after"]["change"] == pytest.approx(-0.0015)
    assert rows[1]["scores"]["after"] is None
    assert format_general(runs).splitlines() == [
        "task   metric  questions  before      after",
        "gsm8k  acc     50         87.9 ± 1.0  87.8 ± 1.0 (-0.1)",
        "arc    acc     50         87.9 ± 1.0  -",
    ]
    other = results(gsm8k=0.5)
    other["settings"] = {**other["settings"], "fewshot": 5}
    with pytest.raises(
        UserError, match="'after' were asked with fewshot 5, those of 'before' with None; ask them alike"
    ):
        general_rows({"before": results(gsm8k=0.5), "after": other})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tasks", "a,a"), "names a task twice"),
        (("--tasks", "a", "--fewshot", "-1"), "fewshot is -1; give at least 0"),
        (("--tasks", "a", "--before", "absent"), "run rfft evaluate-general first"),
    ],
)
def test_wrong_options(tiny_model, tmp_path, words, message):
    done = run_python(
        ROOT / "tools/evaluate_general.py", "--model", tiny_model, "--output", tmp_path, *words, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
