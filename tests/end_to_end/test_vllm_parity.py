"""A trained checkpoint, exported: vLLM and transformers give the same greedy tokens in float32."""

import json
from pathlib import Path

import pytest
import yaml

from megatron_rfft.common.files import read_json, write_json
from megatron_rfft.conversion.to_hf import to_hf
from megatron_rfft.evaluation.model import open_model
from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.sources import open_inputs
from megatron_rfft.tokenization.tokenize import tokenize
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import run_python
from tests.training.conftest import small_config

GENERATE = """
import json, sys
from pathlib import Path
from megatron_rfft.evaluation.engines import ENGINES, Start
from megatron_rfft.evaluation.engines.base import Request

job = json.loads(Path(sys.argv[1]).read_text())
engine = ENGINES[job["engine"]]().load(Path(job["model"]), Start("fp32", job["stop_id"], max_length=1024))
requests = [Request(prompt, 96) for prompt in job["prompts"]]
answers = {done.position: [done.token_ids, done.stopped] for done in engine.generate(requests)}
Path(job["output"]).write_text(json.dumps([answers[i] for i in range(len(requests))]))
"""


def begun_documents(small_data, folder: Path) -> Path:
    """The small data set again, each document begun by a token: the prefix."""
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    load_tokenizer(small_data.tokenizer).save_pretrained(tokenizer)
    config = read_json(tokenizer / "tokenizer_config.json")
    write_json(tokenizer / "tokenizer_config.json", {**config, "bos_token": config["eos_token"]})
    tokenize(open_inputs([small_data.corpus]), Options(tokenizer, bos=True), folder / "data")
    return folder / "data"


WIDE = {"architecture": "qwen3", "head_dim": 64}


@pytest.mark.vllm
@pytest.mark.parametrize("family", [{}, pytest.param(WIDE, marks=pytest.mark.slow)], ids=["qwen2", "qwen3"])
def test_vllm_and_transformers_agree_on_an_exported_model(small_data, tmp_path, family):
    """32 real questions, so that some answers stop and some run into the limit; each begins as the training's did."""
    config = small_config(begun_documents(small_data, tmp_path), tmp_path / "run")
    # vLLM's CPU attention knows head dimensions from 32.
    config["model"] |= {"hidden_size": 64, "num_attention_heads": 2, "num_query_groups": 1, **family}
    config["run"]["steps"] = 30
    config["checkpoint"] = {"interval": 30}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    run_python("-m", "megatron_rfft.train", "--config", tmp_path / "run.yaml")
    model = to_hf(tmp_path / "run/checkpoints/step-00000030", tmp_path / "hf")
    tokenizer = load_tokenizer(model)
    questions = [
        load_task(name).example(4, "train", i, "lean") for name in ("coin_flip", "length_int") for i in range(16)
    ]
    assert open_model(model).bos_id == tokenizer.bos_id == tokenizer.stop_id
    prompts = [[tokenizer.bos_id, *tokenizer.encode(question.prompt)] for question in questions]
    answers = {}
    for engine in ("vllm", "hf"):
        job = {"engine": engine, "model": str(model), "stop_id": tokenizer.stop_id, "prompts": prompts}
        job["output"] = str(tmp_path / f"{engine}.json")
        (tmp_path / "job.json").write_text(json.dumps(job))
        run_python("-c", GENERATE, tmp_path / "job.json")
        answers[engine] = json.loads((tmp_path / f"{engine}.json").read_text())
    assert answers["vllm"] == answers["hf"]
    generated = {token for ids, _ in answers["hf"] for token in ids}
    assert len(generated) > 10, "a model that repeats itself proves nothing"
