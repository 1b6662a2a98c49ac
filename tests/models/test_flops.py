"""Model FLOPs: counted by torch on a real forward pass, and the known sizes."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from megatron_rfft.models.config import ModelConfig
from megatron_rfft.models.flops import matmul_parameters, training_flops


@pytest.mark.parametrize("family", [{}, {"architecture": "qwen3", "head_dim": 16}], ids=["qwen2", "qwen3"])
def test_the_formula_equals_what_torch_counts(family):
    from transformers import AutoConfig, AutoModelForCausalLM

    model = ModelConfig(2, 32, 96, 4, 2, vocab_size=128, **family)
    hf = AutoModelForCausalLM.from_config(AutoConfig.for_model(**model.to_hf()), attn_implementation="eager")
    tokens = 24
    with FlopCounterMode(display=False) as counter:
        hf(torch.zeros(1, tokens, dtype=torch.long))
    whole_square = 4 * model.num_layers * 4 * model.head_dim * tokens**2  # torch computes what causality hides, too
    assert counter.get_total_flops() == 2 * matmul_parameters(model) * tokens + whole_square
    causal = whole_square * (tokens + 1) / (2 * tokens)
    assert training_flops(model, [tokens]) == 3 * (2 * matmul_parameters(model) * tokens + causal)


def test_documents_that_share_a_sequence_do_not_attend_to_each_other():
    model = ModelConfig(28, 3584, 18944, 28, 4, vocab_size=152064, tie_embeddings=False)
    together, apart = training_flops(model, np.array([4096])), training_flops(model, np.array([1024] * 4))
    assert apart < together
    assert together / 4096 / 1e9 == pytest.approx(6 * 7.07 + 2.47, abs=0.1)  # 7.07e9 weights in matrices, and attention
