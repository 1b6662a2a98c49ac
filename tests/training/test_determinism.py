"""precision.deterministic reaches torch, the environment of libraries and megatron-core, and is taken back."""

import os
from unittest import mock

import torch

from megatron_rfft.training.config_reader import config_from_dict
from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
from megatron_rfft.training.trainer import Trainer
from tests.training.conftest import small_config


def test_a_deterministic_run_tells_every_library(small_data, tmp_path):
    values = small_config(small_data.prefix, tmp_path)
    values["precision"]["deterministic"] = True
    config = config_from_dict(values)
    dataset = config.data.open(config.run.seed)
    model = config.model.resolve(dataset.vocab_size)
    with mock.patch.dict(os.environ, {"NCCL_ALGO": "Ring"}):
        initialize_parallel(config, model)
        try:
            trainer = Trainer(config, model, dataset)
            assert trainer.transformer_config.deterministic_mode
            assert trainer.stages[0].embedding.word_embeddings.deterministic_mode
            assert torch.are_deterministic_algorithms_enabled()
            told = [os.environ[name] for name in ("NVTE_ALLOW_NONDETERMINISTIC_ALGO", "CUBLAS_WORKSPACE_CONFIG")]
            assert told == ["0", ":4096:8"]
            assert os.environ["NCCL_ALGO"] == "Ring", "a user's choice that repeats itself stays"
        finally:
            destroy_parallel()
    assert not torch.are_deterministic_algorithms_enabled()
