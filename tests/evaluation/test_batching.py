"""Whether what else is in flight changes an answer: in parts, with and without prefix caching."""

import json
import os

import pytest

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.files import read_json
from megatron_rfft.evaluation.engines import HfOptions, Start, VllmOptions, engine_options, vllm
from megatron_rfft.evaluation.figures import Wording
from megatron_rfft.evaluation.questions import draw_examples, prepare_questions
from megatron_rfft.evaluation.report import write_report
from megatron_rfft.evaluation.run_folder import open_run_folder
from megatron_rfft.evaluation.runner import EvaluationConfig, evaluate
from megatron_rfft.evaluation.runs import Run
from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import ROOT, run_python
from tests.evaluation.made_up import make_results

MAX_LENGTH = 1024


def requests_of(model) -> list:
    """Questions with the rule in the prompt, so that they begin alike, and of several lengths."""
    task = load_task("coin_flip")
    examples = [e for length in (1, 2, 5) for e in draw_examples(task, length, 7, "test", "rule")]
    return [q.request for q in prepare_questions(examples, load_tokenizer(model), MAX_LENGTH, max_tokens=60)]


@pytest.mark.vllm
def test_vllm_gives_the_same_tokens_in_one_part_and_in_three_with_and_without_the_cache(tiny_model, tmp_path):
    requests = requests_of(tiny_model)
    job = {"model": str(tiny_model), "stop_id": load_tokenizer(tiny_model).stop_id, "max_length": MAX_LENGTH}
    job |= {"requests": [(r.prompt_ids, r.max_tokens) for r in requests], "output": str(tmp_path / "found.json")}
    (tmp_path / "job.json").write_text(json.dumps(job))
    run_python(ROOT / "tests/evaluation/batching_worker.py", tmp_path / "job.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["whole True"]) == len(requests)
    assert len({json.dumps(answer) for answer in found["whole True"]}) > 5, "answers that tell something"
    for other in ("parts True", "whole False", "parts False"):
        assert found[other] == found["whole True"]
    assert found["hits True"] > 0.3
    assert found["hits False"] == 0
    for cached in (True, False):
        described = found[f"described {cached}"]
        assert (described["prefix_caching"], described["batch_invariant"]) == (cached, False)


def test_transformers_gives_the_same_tokens_in_one_part_and_in_three(tiny_model):
    requests = requests_of(tiny_model)
    engine = HfOptions().load(tiny_model, Start(stop_id=load_tokenizer(tiny_model).stop_id, max_length=MAX_LENGTH))

    def answers(some):
        return [d.token_ids for d in sorted(engine.generate(some), key=lambda done: done.position)]

    parts = [None] * len(requests)
    for part in range(3):
        parts[part::3] = answers(requests[part::3])
    assert parts == answers(requests)


@pytest.mark.vllm
def test_batch_invariance_is_asked_of_vllm_on_a_gpu(monkeypatch):
    with pytest.raises(UserError, match="--batch-invariant takes kernels that vLLM has for GPUs"):
        vllm.llm_options("auto", 100, batch_invariant=True)
    monkeypatch.setattr(vllm, "_installed", lambda: "0.32.0")
    for key in (*vllm.QUIET_ENVIRONMENT, "VLLM_BATCH_INVARIANT"):
        monkeypatch.setenv(key, os.environ.get(key, ""))  # restored afterwards
    vllm.llm_options("auto", 100, batch_invariant=True)
    assert os.environ["VLLM_BATCH_INVARIANT"] == "1"


def test_a_run_says_how_it_was_batched_and_is_continued_in_no_other_way(tmp_path):
    with pytest.raises(UserError, match="--batch-invariant goes with --engine vllm, not hf"):
        engine_options("hf", {"batch_invariant": True})
    noted = {"name": "vllm", "version": "vllm 1", "dtype": "float32", "device": "cpu"}
    with open_run_folder(tmp_path / "run", {}) as folder:
        folder.set_engine(noted)  # as earlier versions did
        folder.set_engine({**noted, "prefix_caching": True, "batch_invariant": False})
        with pytest.raises(UserError, match="begun with prefix_caching True, this run has False"):
            folder.set_engine({**noted, "prefix_caching": False, "batch_invariant": False})


def test_what_was_asked_of_vllm_reaches_it_and_the_settings(tiny_model, tmp_path, monkeypatch):
    asked = {}

    def load(model, start, **options):
        asked.update(options)
        raise CommandFailed("far enough")

    monkeypatch.setattr(vllm, "VllmEngine", load)
    options = VllmOptions(prefix_caching=False, batch_invariant=True)
    config = EvaluationConfig(tiny_model, ("coin_flip",), (1,), engine=options)
    with pytest.raises(CommandFailed, match="far enough"):
        evaluate(config, tmp_path / "run")
    assert (asked["prefix_caching"], asked["batch_invariant"]) == (False, True)
    settings = read_json(tmp_path / "run/run.json")["settings"]
    assert (settings["prefix_caching"], settings["batch_invariant"]) == (False, True)


def test_the_report_says_how_it_was_batched(tmp_path):
    results = make_results({1: 9})
    results["engine"] |= {"prefix_caching": False, "batch_invariant": True}
    write_report([Run("one", results)], tmp_path, Wording("T"))
    assert "greedy, without prefix caching, batch-invariant" in (tmp_path / "report.html").read_text()
