"""Architectures from Hugging Face configs, and refusals of what the trainer could not represent."""

import json

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from megatron_rfft.common.errors import UserError
from megatron_rfft.models.config import ModelConfig

SMALL = {"num_layers": 2, "hidden_size": 64, "ffn_hidden_size": 160, "num_attention_heads": 4, "num_query_groups": 2}
LLAMA31 = {"architecture": "llama", "rope_theta": 5e5, "rope_scaling_factor": 8.0}


FAMILIES = [
    {"rope_theta": 5e5},
    {"architecture": "llama"},
    LLAMA31,
    {**LLAMA31, "head_dim": 24},
    {**LLAMA31, "rope_scaling_factor": 32.0},
    {"architecture": "qwen3", "head_dim": 32},
]


@pytest.mark.parametrize("family", FAMILIES)
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
        ({"model_type": "mistral"}, "model_type 'mistral' is not supported; supported: qwen2, qwen3, llama"),
        ({"model_type": ["qwen2"]}, "is not supported; supported: qwen2, qwen3, llama"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_scaling": {"type": "yarn"}}, "rope_scaling of type 'yarn'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_scaling.low_freq_factor is None"),
        ({"head_dim": 128}, "head_dim 128"),
        ({"num_hidden_layers": None}, "num_hidden_layers"),
        ({"num_hidden_layers": "2"}, "num_hidden_layers is '2'; it must be a whole number"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no'; it must be true or false"),
        ({"num_key_value_heads": None}, "no 'num_key_value_heads'"),  # transformers takes 32
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', only 'silu' is supported"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"use_mrope": True}, "use_mrope"),
        ({"rope_interleaved": True}, "rope_interleaved"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ({"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1]}}, "rope_parameters.mrope_section"),
        ({"rope_scaling": {"type": "default"}, "rope_parameters": {"type": "llama3"}}, "differ in type"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types has 'sliding_attention'"),
        ({"architectures": ["Qwen2ForSequenceClassification"]}, "only Qwen2ForCausalLM is supported"),
        ({"auto_map": {"AutoModelForCausalLM": "modeling.Model"}}, "auto_map names code of the model's own"),
        ({"is_causal": False}, "is_causal is False, and what that changes is not known here"),
        ({"dual_chunk_attention_config": {"chunk_size": 262144}}, "dual_chunk_attention_config"),
        ({"logit_scale": 0.5}, "logit_scale is 0.5"),
        ({"quantization_config": {"quant_method": "fp8"}}, r"quantized \(fp8\); give the bf16 model"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, r"quantized \(gptq\)"),
    ],
)
def test_what_would_train_another_model_is_refused(tmp_path, change, expected):
    raw = ModelConfig(**SMALL, vocab_size=300).to_hf() | change
    raw = {key: value for key, value in raw.items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=expected):
        ModelConfig.from_hf(tmp_path)


COMMON = {"attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16", "use_cache": True}
PUBLISHED = {
    "Qwen3": ("qwen3", {"sliding_window": None, "max_window_layers": 28, "rope_scaling": None}),
    "DeepSeek-R1-Distill-Qwen-7B": ("qwen2", {"sliding_window": 4096, "max_window_layers": 28, "use_mrope": False}),
    "Qwen2.5 saved by transformers 4.57": ("qwen2", {"layer_types": ["full_attention"] * 2, "sliding_window": None}),
    "SmolLM2-135M": (
        "llama",
        {
            "is_llama_config": True,
            "rope_interleaved": False,
            "pretraining_tp": 1,
            "transformers.js_config": {"dtype": 4},
        },
    ),
    "Llama 3.1 Instruct": ("llama", {"eos_token_id": [128001, 128008, 128009], "pretraining_tp": 1}),
    "LLaMA of 2023": (
        "llama",
        {"architectures": ["LLaMAForCausalLM"], "max_sequence_length": 2048},
    ),
    "a config with keys of generation": ("llama", {"temperature": 0.6, "top_p": 0.9, "max_length": 20}),
}


@pytest.mark.parametrize(("architecture", "keys"), PUBLISHED.values(), ids=PUBLISHED)
def test_keys_of_published_configs_that_change_nothing_are_taken(tmp_path, architecture, keys):
    model = ModelConfig(**SMALL, architecture=architecture, vocab_size=300)
    (tmp_path / "config.json").write_text(json.dumps({**model.to_hf(), **COMMON, **keys}))
    assert ModelConfig.from_hf(tmp_path) == model


def test_a_llama_config_older_than_grouped_queries_has_a_head_of_its_own_for_each(tmp_path):
    raw = ModelConfig(**SMALL, architecture="llama", vocab_size=300).to_hf()
    del raw["num_key_value_heads"]
    (tmp_path / "config.json").write_text(json.dumps(raw))
    assert ModelConfig.from_hf(tmp_path).num_query_groups == 4
    assert AutoConfig.from_pretrained(tmp_path).num_key_value_heads == 4


def test_a_qwen3_config_states_its_head_dimension(tmp_path):
    raw = ModelConfig(**SMALL, architecture="qwen3", vocab_size=300).to_hf()
    assert raw.pop("head_dim") == 16
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match="has no 'head_dim'"):
        ModelConfig.from_hf(tmp_path)


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama"])
def test_every_key_that_transformers_knows_is_known_here(tmp_path, architecture):
    """A new one in a later version has to be sorted in."""
    model = ModelConfig(**SMALL, architecture=architecture, vocab_size=300)
    (tmp_path / "config.json").write_text(json.dumps(model.to_hf()))
    whole = AutoConfig.from_pretrained(tmp_path).to_dict()
    assert len(whole) > 25
    (tmp_path / "config.json").write_text(json.dumps(whole))
    assert ModelConfig.from_hf(tmp_path) == model


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 66},
        {"num_query_groups": 3},
        {"num_layers": 0},
        {"architecture": "gpt2"},
        {"head_dim": 32},
        {"head_dim": -8, "architecture": "llama"},
        {"head_dim": 9, "architecture": "llama"},
    ],
)
def test_dimensions_that_do_not_divide_are_refused(change):
    with pytest.raises(UserError):
        ModelConfig(**{**SMALL, **change})
