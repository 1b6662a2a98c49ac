"""Checkpoints of Megatron-Bridge: its layout, the way there and back, and (slow) Bridge's own code on both sides."""

import pickle
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import LlamaConfig, Qwen2Config, Qwen3Config

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restricted import read_index
from megatron_rfft.conversion.bridge import from_bridge, to_bridge
from megatron_rfft.conversion.compare_models import first_difference
from megatron_rfft.conversion.from_hf import from_hf
from tests.conftest import extra_environment, run_extra, run_python
from tests.conversion.test_convert import make_hf_model

PEER = Path(__file__).parent / "peer"
MODELS = {
    "qwen2": {"tied": False, "family": Qwen2Config},
    "qwen3": {"tied": True, "family": Qwen3Config, "head_dim": 32},
    "llama 3.2": {"tied": True, "family": LlamaConfig, "rope_factor": 32.0},
}


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def exported(request, tmp_path_factory):
    """(HF folder, Bridge's folder)."""
    folder = tmp_path_factory.mktemp("bridge")
    make_hf_model(folder / "hf", **request.param)
    from_hf(folder / "hf", folder / "checkpoint")
    return folder / "hf", to_bridge(folder / "checkpoint", folder / "bridge")


def test_the_layout_is_bridges(exported):
    _, bridge = exported
    assert (bridge / "latest_checkpointed_iteration.txt").read_text() == "0"
    last = bridge / "iter_0000000"
    assert torch.load(last / "train_state.pt", weights_only=True)["step"] == 0
    assert torch.load(last / "common.pt", weights_only=True)["checkpoint_version"] == 3.0
    assert (last / "tokenizer/config.json").is_file()
    index = read_index(last).state_dict_metadata
    assert tuple(index["decoder.layers.mlp.linear_fc1.weight"].size) == (3, 320, 64)
    assert "decoder.final_layernorm._extra_state/shard_0_1" in index  # Transformer Engine's norm asks for it
    model = yaml.safe_load((last / "run_config.yaml").read_text())["model"]
    assert (model["vocab_size"], model["should_pad_vocab"], model["num_query_groups"]) == (301, True, 2)


@pytest.mark.parametrize("place", ["", "iter_0000000"])
def test_a_round_trip_is_bitwise(exported, place, tmp_path):
    original, bridge = exported
    from_bridge(bridge / place, tmp_path / "checkpoint")
    assert first_difference(original, tmp_path / "checkpoint") == ""


def test_the_config_comes_back(exported, tmp_path):
    _, bridge = exported
    again = to_bridge(from_bridge(bridge, tmp_path / "checkpoint"), tmp_path / "again")
    before, after = (folder / "iter_0000000/run_config.yaml" for folder in (bridge, again))
    assert after.read_text() == before.read_text()


@pytest.mark.parametrize("exported", [MODELS["qwen3"]], indirect=True, ids=["qwen3"])
def test_the_commands_convert_and_refuse(exported, tmp_path):
    original, bridge = exported
    convert = ("-m", "megatron_rfft", "convert")
    run_python(*convert, "from-bridge", "--model", bridge, "--output", tmp_path / "checkpoint")
    run_python(*convert, "to-bridge", "--checkpoint", tmp_path / "checkpoint", "--output", tmp_path / "again")
    from_bridge(tmp_path / "again", tmp_path / "back")
    assert first_difference(original, tmp_path / "back") == ""
    done = run_python(*convert, "from-bridge", "--model", tmp_path, "--output", tmp_path / "x", check=False)
    assert done.returncode == 2
    assert "holds no .metadata" in done.stderr


def changed_copy(bridge: Path, folder: Path, change: dict) -> Path:
    """The iteration with other keys in its model's config; None removes one."""
    folder.mkdir()
    for path in (bridge / "iter_0000000").iterdir():
        (folder / path.name).symlink_to(path)
    config = yaml.safe_load((folder / "run_config.yaml").read_text())
    config["model"] = {key: value for key, value in (config["model"] | change).items() if value is not None}
    (folder / "run_config.yaml").unlink()
    (folder / "run_config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"normalization": "LayerNorm"}, "normalization is not 'RMSNorm'"),
        ({"normalization": None}, "has no 'normalization'"),
        ({"activation_func": {"_target_": "torch.nn.functional.gelu", "_call_": False}}, "activation_func is not"),
        ({"num_moe_experts": 8}, "num_moe_experts is 8"),
        ({"layernorm_zero_centered_gamma": True}, "layernorm_zero_centered_gamma is True"),
        ({"window_size": [128, 0]}, r"window_size is \[128, 0\]"),
        ({"hidden_size": None}, "has no 'hidden_size'"),
        ({"kv_channels": 48}, "its config says|head_dim is 48"),
        ({"rope_scaling": True, "rope_scaling_factor": None}, "has no 'rope_scaling_factor'"),
    ],
)
def test_what_would_become_another_model_is_refused(exported, change, expected, tmp_path):
    _, bridge = exported
    with pytest.raises(UserError, match=expected):
        from_bridge(changed_copy(bridge, tmp_path / "changed", change), tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


class _Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_it_is_executed(exported, tmp_path):
    _, bridge = exported
    folder = changed_copy(bridge, tmp_path / "hostile", {})
    for name in (".metadata", "common.pt", "train_state.pt"):
        (folder / name).unlink()
        (folder / name).write_bytes(pickle.dumps(_Hostile(tmp_path / "ran")))
    with pytest.raises(UserError, match="is not an index of a sharded checkpoint"):
        from_bridge(folder, tmp_path / "checkpoint")
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_bridge_loads_ours_and_we_load_what_it_saves(exported, tmp_path):
    original, bridge = exported
    python = extra_environment("bridge", PEER / "requirements.lock")
    arguments = (bridge / "iter_0000000", tmp_path / "tensors.safetensors", tmp_path / "saved")
    run_extra(python, PEER / "load_bridge.py", *arguments)

    theirs, ours = load_file(tmp_path / "tensors.safetensors"), load_file(original / "model.safetensors")
    for layer in range(3):
        here, there = f"model.layers.{layer}.", f"decoder.layers.{layer}."
        gate, up = (ours[f"{here}mlp.{part}_proj.weight"] for part in ("gate", "up"))
        assert torch.equal(theirs[f"{there}mlp.linear_fc1.weight"], torch.cat([gate, up]))
        q, k, v = (ours[f"{here}self_attn.{part}_proj.weight"].unflatten(0, (2, -1)) for part in "qkv")
        assert torch.equal(theirs[f"{there}self_attention.linear_qkv.weight"], torch.cat([q, k, v], 1).flatten(0, 1))
    assert torch.equal(theirs["embedding.word_embeddings.weight"][:301], ours["model.embed_tokens.weight"])

    from_bridge(tmp_path / "saved", tmp_path / "checkpoint")
    assert first_difference(original, tmp_path / "checkpoint") == ""
