"""Conversion both ways: bitwise weights, equal logits, nothing lost in silence."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.conversion.from_hf import from_hf
from megatron_rfft.conversion.to_hf import to_hf
from tests.conftest import ROOT, run_python, torchrun


def make_hf_model(
    folder, *, tied: bool, vocab_size: int = 301, family=Qwen2Config, rope_factor: float = 8.0, **more
) -> None:
    """A random model, biases too, every tensor distinct; Llama with scaled rotary positions (3.1 by 8, 3.2 by 32)."""
    torch.manual_seed(0)
    config = family(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        rope_theta=5000.0,
        tie_word_embeddings=tied,
        **more,
    )
    if family is LlamaConfig:
        config.rope_parameters = {
            "rope_type": "llama3",
            "rope_theta": 5e5,
            "factor": rope_factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.15)
    model.save_pretrained(folder)


MODELS = {
    "Qwen2, tied": {"tied": True},
    "Qwen2, untied": {"tied": False},
    "Qwen3, tied": {"tied": True, "family": Qwen3Config, "head_dim": 16},
    "Qwen3, wide heads": {"tied": False, "family": Qwen3Config, "head_dim": 32},
    "Llama 3.1, wide heads": {"tied": False, "family": LlamaConfig, "head_dim": 24},
    "Llama 3.2": {"tied": True, "family": LlamaConfig, "rope_factor": 32.0},
}


@pytest.fixture(scope="module")
def conversions(tmp_path_factory) -> dict[str, tuple[Path, Path, Path]]:
    """Of each model: HF folder, checkpoint, exported HF folder."""
    done = {}
    for name, model in MODELS.items():
        folder = tmp_path_factory.mktemp("convert")
        make_hf_model(folder / "hf", **model)
        from_hf(folder / "hf", folder / "checkpoint")
        to_hf(folder / "checkpoint", folder / "back")
        done[name] = folder / "hf", folder / "checkpoint", folder / "back"
    return done


@pytest.fixture(scope="module", params=[(2, 1), (1, 3)], ids=["TP2", "PP3"])
def layout_folder(request, conversions, tmp_path_factory) -> Path:
    """What logits_worker.py makes of each model in one layout."""
    tensor, pipeline = request.param
    folder = tmp_path_factory.mktemp("layout")
    jobs = [
        {
            "checkpoint": str(checkpoint),
            "model": str(original),
            "output": str(folder / name / "logits.safetensors"),
            "again": str(folder / name / "again"),
        }
        for name, (original, checkpoint, _) in conversions.items()
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    torchrun(tensor * pipeline, ROOT / "tests/conversion/logits_worker.py", tensor, pipeline, folder / "jobs.json")
    return folder


@pytest.fixture(scope="module", params=MODELS)
def converted(request, conversions):
    """(HF folder, checkpoint, exported HF folder)."""
    return conversions[request.param]


def test_a_round_trip_returns_every_tensor_bitwise(converted):
    original, _, back = converted
    before, after = load_file(original / "model.safetensors"), load_file(back / "model.safetensors")
    assert after.keys() == before.keys()
    assert all(torch.equal(before[name], after[name]) for name in after)
    assert verify_manifest(back / "megatron_rfft.json", "model") == []


@pytest.mark.parametrize("name", MODELS)
def test_logits_equal_transformers_in_every_layout(conversions, layout_folder, name, tmp_path):
    """The megatron-core model that starts from the imported checkpoint has HF's logits; saved anew by this layout, the
    checkpoint is exported to the same bytes.
    """
    original, _, back = conversions[name]
    saved = load_file(layout_folder / name / "logits.safetensors")
    model = AutoModelForCausalLM.from_pretrained(original).eval()
    with torch.no_grad():
        expected = model(saved["tokens"]).logits
    torch.testing.assert_close(saved["logits"], expected, atol=2e-5, rtol=1e-5)
    again = to_hf(layout_folder / name / "again", tmp_path / "hf")
    assert sha256_file(again / "model.safetensors") == sha256_file(back / "model.safetensors")


def test_the_export_of_a_trained_checkpoint_is_what_transformers_reads(converted):
    original, _, back = converted
    tokens = torch.randint(0, 301, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours = AutoModelForCausalLM.from_pretrained(back).eval()(tokens).logits
        theirs = AutoModelForCausalLM.from_pretrained(original).eval()(tokens).logits
    assert torch.equal(ours, theirs)


def test_exporting_again_is_done_at_once_and_other_folders_are_kept(converted, tmp_path):
    _, checkpoint, back = converted
    stamp = (back / "model.safetensors").stat().st_mtime_ns
    assert to_hf(checkpoint, back) == back
    assert (back / "model.safetensors").stat().st_mtime_ns == stamp
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="remove it or give another --output"):
        to_hf(checkpoint, tmp_path / "mine")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"), "lacks model.layers.1.mlp.up_proj.weight"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "has extra, which a qwen2 model does not"),
        (lambda tensors: tensors.update({"model.norm.weight": torch.zeros(3)}), "model.norm.weight is (3,), not (64,)"),
    ],
)
def test_no_tensor_is_lost_or_invented(tmp_path, change, expected):
    make_hf_model(tmp_path / "hf", tied=True)
    tensors = load_file(tmp_path / "hf" / "model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "hf" / "model.safetensors")
    arguments = ("tools/convert.py", "from-hf", "--model", tmp_path / "hf", "--output", tmp_path / "checkpoint")
    done = run_python(*arguments, check=False)
    assert done.returncode == 2
    assert expected in done.stderr.splitlines()[-1]
    assert not (tmp_path / "checkpoint").exists()


def test_a_damaged_checkpoint_is_not_exported(converted, tmp_path):
    _, checkpoint, _ = converted
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    copy = tmp_path / "copy"
    for name in manifest["files"]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).symlink_to(checkpoint / name)
    (copy / "manifest.json").write_text((checkpoint / "manifest.json").read_text())
    metadata = copy / "state" / ".metadata"
    metadata.unlink()
    metadata.write_bytes(b"cos\nsystem\n(S'echo owned'\ntR.")
    with pytest.raises(UserError, match="is damaged"):
        to_hf(copy, tmp_path / "hf")
