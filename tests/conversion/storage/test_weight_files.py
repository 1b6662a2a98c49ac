"""One set of weights in a folder, whichever library reads it, and none but those that can be trained."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig

from megatron_rfft.common.errors import UserError
from megatron_rfft.conversion.compare_models import first_difference
from megatron_rfft.conversion.from_hf import from_hf
from megatron_rfft.conversion.storage import weight_files as weights_module
from megatron_rfft.conversion.storage.safetensors_io import HFWeights
from megatron_rfft.conversion.storage.weight_files import read_header, weight_files
from megatron_rfft.conversion.to_hf import to_hf
from megatron_rfft.evaluation.model import open_model
from tests.conftest import run_python
from tests.conversion.test_convert import make_hf_model

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tied") / "hf"
    make_hf_model(folder, tied=True)
    return folder


def sharded(source, folder):
    """The model in two files with an index."""
    shutil.copytree(source, folder)
    tensors = load_file(folder / SINGLE)
    (folder / SINGLE).unlink()
    names = sorted(tensors)
    files = {name: f"model-0000{1 + (name in names[:9])}-of-00002.safetensors" for name in names}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in names if files[name] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"weight_map": files}))
    return folder


def changed(file, **values):
    """Write ``file`` again with other tensors."""
    save_file({**load_file(file), **values}, file)


def both_refuse(folder, output, message):
    """Import and evaluation say the same thing, in one line."""
    (folder / "tokenizer.json").touch()
    for call in (lambda: from_hf(folder, output), lambda: open_model(folder)):
        with pytest.raises(UserError, match=message) as refused:
            call()
        assert "\n" not in str(refused.value)
    assert not output.exists()


def test_each_header_is_read_once(tied, tmp_path, monkeypatch):
    """Of a model of many shards, on a slow file system."""
    folder = sharded(tied, tmp_path / "hf")
    shutil.copyfile(tied / SINGLE, folder / SINGLE)
    read = []
    monkeypatch.setattr(weights_module, "read_header", lambda path: read.append(path.name) or read_header(path))
    assert len(HFWeights(folder).names) == len(load_file(tied / SINGLE))
    assert sorted(read) == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", SINGLE]


def test_a_stale_index_beside_other_weights_is_refused(tied, tmp_path):
    """transformers would read one set, vLLM the other."""
    folder = sharded(tied, tmp_path / "hf")
    shutil.copyfile(tied / SINGLE, folder / SINGLE)
    assert [file.name for file in weight_files(folder)] == [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    from_hf(folder, tmp_path / "equal")
    changed(folder / SINGLE, **{"model.norm.weight": torch.zeros(64)})
    both_refuse(folder, tmp_path / "checkpoint", "two sets of weights: model.safetensors and .* in model.norm.weight")
    tensors = load_file(tied / SINGLE)
    del tensors["model.norm.weight"]
    save_file(tensors, folder / SINGLE)
    both_refuse(folder, tmp_path / "checkpoint", "two sets of weights")


@pytest.mark.parametrize("name", ["other.safetensors", "consolidated.safetensors", "adapter_model.safetensors"])
def test_files_beside_the_weights_without_an_index_are_refused_if_they_differ(tied, tmp_path, name):
    folder = shutil.copytree(tied, tmp_path / "hf")
    shutil.copyfile(tied / SINGLE, folder / name)
    weight_files(folder)
    changed(folder / name, **{"model.norm.weight": torch.zeros(64)})
    both_refuse(folder, tmp_path / "checkpoint", f"{name}.* model.norm.weight")


def test_the_same_weights_in_the_names_of_another_library_are_left_aside(tied, tmp_path):
    folder = shutil.copytree(tied, tmp_path / "hf")
    save_file({"layers.0.attention.wq.weight": torch.zeros(2)}, folder / "consolidated.00.safetensors")
    assert [file.name for file in weight_files(folder)] == [SINGLE]


def test_an_index_that_does_not_fit_its_files_is_refused(tied, tmp_path):
    folder = sharded(tied, tmp_path / "hf")
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    weight_map["model.norm.weight"] = weight_map["model.embed_tokens.weight"]
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    both_refuse(folder, tmp_path / "checkpoint", "holds model.norm.weight, which it does not")
    (folder / INDEX).write_text("{}")
    both_refuse(folder, tmp_path / "checkpoint", "has no weight_map")


def test_a_missing_shard_is_one_line_in_evaluation_too(tied, tmp_path):
    folder = sharded(tied, tmp_path / "hf")
    (folder / "model-00002-of-00002.safetensors").unlink()
    both_refuse(folder, tmp_path / "checkpoint", "model-00002-of-00002.safetensors is missing; download the model")
    words = ("--tasks", "coin_flip", "--lengths", 2, "--form", "rule", "--output", tmp_path / "run")
    done = run_python("tools/evaluate.py", "--model", folder, *words, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].endswith("is missing; download the model again")
    assert "Traceback" not in done.stderr


def test_a_tied_config_beside_other_output_embeddings_is_refused(tied, tmp_path):
    """transformers takes both matrices then, so the tied model would be another one."""
    folder = shutil.copytree(tied, tmp_path / "hf")
    embeddings = load_file(folder / SINGLE)["model.embed_tokens.weight"]
    changed(folder / SINGLE, **{"lm_head.weight": embeddings.clone()})
    checkpoint = from_hf(folder, tmp_path / "copy")
    assert first_difference(folder, checkpoint) == ""
    other = embeddings.clone()
    other[7, 3] += 1
    changed(folder / SINGLE, **{"lm_head.weight": other})
    with pytest.raises(UserError, match=r"lm_head.weight is not model.embed_tokens.weight.*tie_word_embeddings to"):
        from_hf(folder, tmp_path / "checkpoint")
    assert first_difference(folder, checkpoint).startswith("lm_head.weight is not model.embed_tokens.weight")
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert not torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


def test_rotary_frequencies_of_old_llama_weights_are_left_out(tmp_path):
    make_hf_model(tmp_path / "hf", tied=False, family=LlamaConfig)
    plain = from_hf(tmp_path / "hf", tmp_path / "plain")
    weights = tmp_path / "hf" / SINGLE
    save_file({name: tensor.to(torch.bfloat16) for name, tensor in load_file(weights).items()}, weights)
    frequencies = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(8) for n in range(3)}
    changed(weights, **frequencies, **{"model.rotary_emb.inv_freq": torch.ones(8)})
    checkpoint = from_hf(tmp_path / "hf", tmp_path / "checkpoint")
    assert first_difference(tmp_path / "hf", checkpoint) == ""
    exported = load_file(to_hf(checkpoint, tmp_path / "back") / SINGLE)
    assert not [name for name in exported if "rotary" in name]
    assert {tensor.dtype for tensor in exported.values()} == {torch.bfloat16}, "float32 frequencies widen nothing"
    assert exported.keys() == load_file(to_hf(plain, tmp_path / "plain back") / SINGLE).keys()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"model.norm.weight": torch.zeros(64, dtype=torch.float8_e4m3fn)}, "model.norm.weight is F8_E4M3, not one of"),
        ({"model.layers.0.mlp.up_proj.qweight": torch.zeros(8, 160, dtype=torch.int32)}, "qweight is I32, not one of"),
    ],
    ids=["fp8", "gptq"],
)
def test_quantized_weights_ask_for_the_bf16_model(tied, tmp_path, tensors, message):
    folder = shutil.copytree(tied, tmp_path / "hf")
    changed(folder / SINGLE, **tensors)
    with pytest.raises(UserError, match=f"{message}.* give the bf16 model"):
        from_hf(folder, tmp_path / "checkpoint")
