"""Architectures from Hugging Face configs, and refusals of what the trainer could not represent."""

import json

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig

SMALL = {"num_layers": 2, "hidden_size": 64, "ffn_hidden_size": 160, "num_attention_heads": 4, "num_query_groups": 2}
# Published sizes: (layers, hidden, ffn, heads, groups, vocabulary, tied, parameters).
QWEN25 = {
    "0.5B": (24, 896, 4864, 14, 2, 151936, True, 494_032_768),
    "7B": (28, 3584, 18944, 28, 4, 152064, False, 7_615_616_512),
    "32B": (64, 5120, 27648, 40, 8, 152064, False, 32_763_876_352),
}


@pytest.mark.parametrize("size", QWEN25)
def test_published_models_have_their_published_number_of_parameters(size):
    *dimensions, vocab_size, tied, parameters = QWEN25[size]
    model = ModelConfig(*dimensions, vocab_size=vocab_size, tie_embeddings=tied)
    assert model.num_parameters() == parameters
    # Rows never depend on the layout: these vocabularies are multiples of 128 already.
    assert model.padded_vocab_size == vocab_size


LLAMA31 = {"architecture": "llama", "rope_theta": 5e5, "rope_scaling_factor": 8.0}


@pytest.mark.parametrize("family", [{"rope_theta": 5e5}, {"architecture": "llama"}, LLAMA31])
def test_a_config_survives_the_way_through_hugging_face(tmp_path, family):
    model = ModelConfig(**SMALL, **family, vocab_size=300, norm_epsilon=1e-5, tie_embeddings=False, init_std=0.1)
    (tmp_path / "config.json").write_text(json.dumps(model.to_hf()))
    assert ModelConfig.from_hf(tmp_path) == model
    theirs = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    assert sum(parameter.numel() for parameter in theirs.parameters()) == model.num_parameters()
    theirs.config.save_pretrained(tmp_path / "again")
    assert ModelConfig.from_hf(tmp_path / "again") == model


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model_type": "mistral"}, "model_type 'mistral' is not supported; supported: qwen2, llama"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_scaling": {"type": "yarn"}}, "rope_scaling of type 'yarn'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_scaling.low_freq_factor is None"),
        ({"head_dim": 128}, "head_dim 128"),
        ({"num_hidden_layers": None}, "num_hidden_layers"),
    ],
)
def test_what_would_train_another_model_is_refused(tmp_path, change, expected):
    raw = ModelConfig(**SMALL, vocab_size=300).to_hf() | change
    raw = {key: value for key, value in raw.items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=expected):
        ModelConfig.from_hf(tmp_path)


@pytest.mark.parametrize(
    "change", [{"hidden_size": 66}, {"num_query_groups": 3}, {"num_layers": 0}, {"architecture": "gpt2"}]
)
def test_dimensions_that_do_not_divide_are_refused(change):
    with pytest.raises(UserError):
        ModelConfig(**{**SMALL, **change})
