"""Whether vLLM gives transformers' greedy tokens: what counts as equal."""

import json
from importlib.metadata import PackageNotFoundError

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from megatron_rfft.common.errors import UserError
from megatron_rfft.conversion.from_hf import from_hf
from megatron_rfft.evaluation.greedy import GreedyDifference, compare_greedy, judge
from tests.conftest import run_python


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random model that vLLM's CPU attention takes (head dimension 32), every token distinct."""
    folder = tmp_path_factory.mktemp("greedy")
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 2, "num_key_value_heads": 1}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(Qwen2Config(vocab_size=301, num_hidden_layers=2, **shape))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.15)
    model.save_pretrained(folder)
    return folder


def test_every_token_is_judged_after_those_before_it(model):
    prompt = torch.arange(1, 11)[None]  # without the token that pads
    loaded = AutoModelForCausalLM.from_pretrained(model).eval()
    greedy = loaded.generate(prompt, max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0)
    answer = greedy[0, 10:].tolist()
    same = judge(model, [prompt[0].tolist()], [answer])
    assert (same.tokens, same.differences, same.equal) == (20, [], True)
    assert str(same) == "vLLM's 20 greedy tokens are transformers' too"
    other = [*answer[:7], (answer[7] + 1) % 301, *answer[8:]]
    found = judge(model, [prompt[0].tolist()] * 2, [answer, other])
    assert not found.equal
    assert (found.first.prompt, found.first.position, found.first.transformers) == (1, 7, answer[7])
    assert found.first.gap > 0.01
    assert f"first token 7 of answer 1: {other[7]} instead of {answer[7]}" in str(found)


def test_a_tie_is_one_of_rounding_alone():
    assert GreedyDifference(0, 0, 1, 2, gap=1e-5, largest_logit=12.0).is_tie
    assert not GreedyDifference(0, 0, 1, 2, gap=2e-3, largest_logit=12.0).is_tie


def test_without_vllm_it_is_refused(model, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("megatron_rfft.evaluation.greedy.version", missing)
    with pytest.raises(UserError, match=r"vLLM is not installed; install it .*, or leave --vllm out"):
        compare_greedy(model)


@pytest.mark.vllm
@pytest.mark.slow
def test_vllm_answers_as_transformers(model, tmp_path):
    from_hf(model, tmp_path / "checkpoint")
    arguments = ("--model", model, "--checkpoint", tmp_path / "checkpoint", "--vllm", "--json")
    result = json.loads(run_python("tools/convert.py", "verify", *arguments).stdout)
    assert (result["equal"], result["greedy"]["differing"]) == (True, 0)
    assert result["greedy"]["tokens"] > 100
