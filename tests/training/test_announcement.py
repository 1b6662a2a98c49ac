"""What a run says about itself, and a GPU on which Transformer Engine does not work."""

import dataclasses
import re

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.training import precision
from megatron_rfft.training.callbacks.announcement import UNFUSED, what_is_off
from megatron_rfft.training.config_reader import config_from_dict
from tests.training.conftest import small_config


def test_what_was_asked_for_and_is_off_is_named(small_data, tmp_path):
    config = config_from_dict(small_config(small_data.prefix, tmp_path))
    assert what_is_off(config, 2, "FlashAttention") == []
    alone = what_is_off(config, 1, UNFUSED)
    assert [words.split(" (")[0] for words in alone] == [
        "parallel.overlap",
        "optimizer.distributed",
        "flash and fused attention",
    ]


def test_what_megatron_core_turns_off_is_named():
    import torch

    from megatron_rfft.models.build import switched_off, transformer_config
    from megatron_rfft.models.published import PUBLISHED

    config = transformer_config(
        PUBLISHED["qwen2.5-7b"], dtype=torch.bfloat16, tensor_parallel=2, sequence_parallel=True
    )
    assert switched_off(config) == []
    config.sequence_parallel = False
    assert [words.split()[0] for words in switched_off(config)] == ["sequence_parallel"]


def test_a_gpu_without_transformer_engine_is_an_error_unless_the_config_says_so(small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "ON_GPU", True)
    monkeypatch.setattr(precision, "WHY_NO_TE", "libcudnn.so.9: not found")
    config = config_from_dict(small_config(small_data.prefix, tmp_path))
    expected = "Transformer Engine does not work here (libcudnn.so.9: not found); rfft doctor --for train-gpu"
    with pytest.raises(UserError, match=re.escape(expected)):
        precision.check_precision(config)
    local = dataclasses.replace(config, precision=dataclasses.replace(config.precision, local_layers=True))
    precision.check_precision(local)


@pytest.mark.parametrize("key", ["parallel.tensor_overlap", "memory.fp8_activation_input", "memory.te_cross_entropy"])
def test_keys_for_transformer_engine_are_refused_without_it(small_data, tmp_path, key):
    section, name = key.split(".")
    values = small_config(small_data.prefix, tmp_path)
    values.setdefault(section, {})[name] = True
    expected = f"{key} is true, but needs Transformer Engine's layers: this machine has no GPU; set it to false"
    with pytest.raises(UserError, match=re.escape(expected)):
        precision.check_precision(config_from_dict(values))


def test_megatron_core_is_told_by_its_own_names():
    import torch

    from megatron_rfft.models.build import transformer_config
    from megatron_rfft.models.published import PUBLISHED

    keys = {"tensor_overlap": True, "fp8_activation_input": True, "te_cross_entropy": True}
    config = transformer_config(
        PUBLISHED["qwen2.5-7b"], dtype=torch.bfloat16, tensor_parallel=2, sequence_parallel=True, **keys
    )
    assert (config.tp_comm_overlap, config.activation_func_fp8_input_store) == (True, True)
    assert config.cross_entropy_fusion_impl == "te"
