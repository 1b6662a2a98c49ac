"""A tiny random model with a tokenizer of single characters, made once."""

import string
from collections import Counter
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from megatron_rfft.common.files import write_json
from megatron_rfft.common.manifest import write_manifest

CHARACTERS = string.printable


def save_tokenizer(folder: Path, stop_token: str) -> None:
    """One id per printable character."""
    backend = Tokenizer(models.BPE(vocab={character: i for i, character in enumerate(CHARACTERS)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.decoder = decoders.Fuse()
    backend.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"eos_token": stop_token})


def half_used_token(model: Qwen2ForCausalLM) -> int:
    """The token that is generated for nearest to half of some prompts: as stop token it ends some answers, not all."""
    prompts = torch.randint(len(CHARACTERS), (32, 40))
    generated = model.generate(prompts, max_new_tokens=40, do_sample=False, generation_config=GenerationConfig())
    counts = Counter(token for row in generated[:, 40:].tolist() for token in set(row))
    return min(counts, key=lambda token: abs(counts[token] - 16))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """An HF folder of a random Qwen2 in float32 with our manifest: form "direct", coin_flip trained on 1-4."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(CHARACTERS),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=1024,
            initializer_range=0.2,
        )
    )
    model.save_pretrained(folder)
    save_tokenizer(folder, CHARACTERS[half_used_token(model)])
    sections = {"form": "direct", "trained_lengths": {"coin_flip": [1, 2, 3, 4]}}
    write_manifest(folder / "megatron_rfft.json", "model", list(folder.iterdir()), **sections)
    return folder
