"""Published models as bases, at toy size: what was trained on them keeps their rotary positions, ends and templates."""

import json
from dataclasses import dataclass

import pytest
import torch
import yaml
from tokenizers import AddedToken, Tokenizer, processors
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from megatron_rfft.conversion.compare_models import first_difference, logits_difference
from megatron_rfft.conversion.from_hf import from_hf
from megatron_rfft.models.config import ModelConfig
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from tests.conftest import ROOT, run_python
from tests.tokenization.test_hf_export import QWEN2, THREE_DIGITS, byte_level
from tests.training.conftest import small_config

TOY = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@dataclass(frozen=True)
class Base:
    """What a published tokenizer_config.json says, and how tokenizer.json splits text."""

    bos: str | None
    eos: str
    markers: tuple[str, ...]
    """Tokens of conversations that it has besides."""
    template: str
    """As theirs, without tools."""
    split: str
    config: dict

    @property
    def tokenizer_config(self) -> dict:
        """With special tokens written out, as R1's are."""
        tokens = {"bos_token": self.bos, "eos_token": self.eos, "pad_token": self.eos}
        written = {
            name: token and {"__type": "AddedToken", "content": token, "lstrip": False, "rstrip": False}
            for name, token in tokens.items()
        }
        return {**written, **self.config, "chat_template": self.template, "clean_up_tokenization_spaces": False}


BASES = {
    "qwen2.5-math-7b": Base(
        bos=None,
        eos="<|endoftext|>",
        markers=("<|im_start|>", "<|im_end|>"),
        template=(
            "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nPlease reason step by step.<|im_end|>\n"
            "{% endif %}{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
            "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        ),
        split=QWEN2,
        config={"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "model_max_length": 131072},
    ),
    "r1-distill-qwen-1.5b": Base(
        bos="<｜begin▁of▁sentence｜>",
        eos="<｜end▁of▁sentence｜>",
        markers=("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"),
        template=(
            "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}<｜User｜>"
            "{{ message['content'] }}{% else %}<｜Assistant｜>{{ message['content'].split('</think>')[-1] }}"
            "{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
        ),
        split=QWEN2,
        config={"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "legacy": True, "unk_token": None},
    ),
    "llama-3.2-1b": Base(
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
        markers=("<|start_header_id|>", "<|end_header_id|>"),
        template=(
            "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
            "{{ message['content'] | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
            "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
        ),
        split=THREE_DIGITS,
        config={"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]},
    ),
}


def toy_base(name: str, corpus, folder) -> Base:
    """The model ``name`` with random weights at toy size: its config.json, only smaller, and a tokenizer as it has."""
    base = BASES[name]
    byte_level(corpus, folder, base.tokenizer_config, base.split)
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = [token for token in (base.bos, base.eos, *base.markers) if token and "think" not in token]
    backend.add_special_tokens(special)
    backend.add_tokens([AddedToken(token, normalized=False) for token in base.markers if "think" in token])
    if base.bos:
        begun = [(base.bos, backend.token_to_id(base.bos))]
        backend.post_processor = processors.TemplateProcessing(f"{base.bos} $A", None, begun)
    backend.save(str(folder / "tokenizer.json"))
    published = json.loads((ROOT / "examples/models" / name / "config.json").read_text())
    ids = {"vocab_size": backend.get_vocab_size(), "eos_token_id": backend.token_to_id(base.eos)}
    ids["bos_token_id"] = backend.token_to_id(base.bos or base.eos)
    (folder / "config.json").write_text(json.dumps({**published, **TOY, **ids, "head_dim": 16}))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.1)
    model.save_pretrained(folder)
    return base


@pytest.mark.parametrize("name", BASES)
def test_an_export_keeps_what_its_base_says(name, small_data, tmp_path):
    original = tmp_path / "hf"
    base = toy_base(name, small_data.corpus, original)
    from_hf(original, tmp_path / "base")
    tokenize_corpus(small_data.corpus, original, tmp_path / "data", chat=True)
    config = small_config(tmp_path / "data", tmp_path / "run")
    config["model"] = {"hf_config": str(original)}
    config["run"]["steps"] = 2
    config["optimizer"]["warmup_steps"] = 0
    config["data"]["sequence_length"] = 1024
    config["checkpoint"] = {"load": str(tmp_path / "base"), "export_hf": True}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    run_python("-m", "megatron_rfft.train", "--config", tmp_path / "run.yaml")
    export, trained = (tmp_path / "run" / place / "step-00000002" for place in ("hf", "checkpoints"))

    assert ModelConfig.from_hf(export) == ModelConfig.from_hf(original)
    before, after = AutoConfig.from_pretrained(original), AutoConfig.from_pretrained(export)
    for key in ("rope_parameters", "eos_token_id", "max_position_embeddings", "tie_word_embeddings", "architectures"):
        assert getattr(after, key) == getattr(before, key), key
    published = AutoConfig.from_pretrained(ROOT / "examples/models" / name)
    assert after.rope_parameters == published.rope_parameters
    assert GenerationConfig.from_pretrained(export).eos_token_id == before.eos_token_id

    theirs, ours = AutoTokenizer.from_pretrained(original), AutoTokenizer.from_pretrained(export)
    assert (ours.bos_token, ours.eos_token, ours.chat_template) == (base.bos, base.eos, base.template)
    conversation = [{"role": "user", "content": "What is 12345, then 7?"}]
    asked = [each.apply_chat_template(conversation, add_generation_prompt=True)["input_ids"] for each in (theirs, ours)]
    assert asked[0] == asked[1]
    for text in ("", "num = num[1:]\n  1234567 , isn't it?", base.eos):
        assert ours(text)["input_ids"] == theirs(text)["input_ids"], text

    assert first_difference(original, trained) != "", "it was trained"
    assert first_difference(export, trained) == ""
    largest, logit = logits_difference(export, trained, None)
    assert largest <= 1e-4 * logit
