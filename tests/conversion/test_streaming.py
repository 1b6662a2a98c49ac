"""Conversion that scales: killed ones continue to the same bytes, memory is bounded, files are what others read."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Qwen2Config

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.conversion.compare_models import first_difference, logits_difference
from megatron_rfft.conversion.from_hf import from_hf
from megatron_rfft.conversion.storage.written_files import work_on
from megatron_rfft.conversion.to_hf import to_hf
from megatron_rfft.conversion.writing import Writing
from tests.conftest import ROOT, peak_mib, run_python
from tests.conversion.test_convert import make_hf_model

SMALL_SHARD = 2e-4  # 10^9 bytes


def bytes_of(folder) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(HF folder, checkpoint and export in many files)."""
    folder = tmp_path_factory.mktemp("small")
    make_hf_model(folder / "hf", tied=False)
    from_hf(folder / "hf", folder / "checkpoint", how=Writing(max_shard_gb=SMALL_SHARD))
    to_hf(folder / "checkpoint", folder / "back", how=Writing(max_shard_gb=SMALL_SHARD))
    return folder / "hf", folder / "checkpoint", folder / "back"


@pytest.fixture(scope="module")
def many_files(tmp_path_factory):
    """The same three of a model whose conversion takes some hundred files."""
    folder = tmp_path_factory.mktemp("many")
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = Qwen2Config(vocab_size=256, num_hidden_layers=20, tie_word_embeddings=True, **shape)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / "hf")
    from_hf(folder / "hf", folder / "checkpoint", how=Writing(max_shard_gb=2e-5))
    to_hf(folder / "checkpoint", folder / "back", how=Writing(max_shard_gb=2e-5))
    return folder / "hf", folder / "checkpoint", folder / "back"


@pytest.mark.parametrize("verb", ["from-hf", "to-hf"])
def test_a_killed_conversion_continues_to_the_same_bytes(many_files, verb, tmp_path):
    original, checkpoint, back = many_files
    source, expected = {
        "from-hf": (("--model", original), checkpoint),
        "to-hf": (("--checkpoint", checkpoint), back),
    }[verb]
    output, unfinished = tmp_path / "output", tmp_path / ".output.tmp"

    def proven() -> list[Path]:
        return sorted(file for file in unfinished.glob("*.json") if file.name != "settings.json")

    command = [sys.executable, "tools/convert.py", verb, *source, "--output", output, "--max-shard-gb", "2e-5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*map(str, command), "--workers", "1"], cwd=ROOT, env=environment)
    deadline = time.monotonic() + 120
    while len(proven()) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    finished = proven()
    assert 3 <= len(finished) < len(list(expected.rglob("*.distcp" if verb == "from-hf" else "*.safetensors")))
    first = unfinished / "files" / json.loads(finished[0].read_text())["sha256"].popitem()[0]
    written = first.stat().st_ino, first.stat().st_mtime_ns
    convert = {"from-hf": from_hf, "to-hf": to_hf}[verb]
    convert(source[1], output, how=Writing(max_shard_gb=2e-5))
    kept = output / first.relative_to(unfinished / "files")
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == written, "what was done is done again"
    assert bytes_of(output) == bytes_of(expected)
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_what_was_left_of_another_conversion_is_not_continued(small, tmp_path, capsys):
    """Same output, another number format: a half-written fp32 export must not end up in the bf16 one."""
    _, checkpoint, _ = small
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("megatron_rfft.conversion.to_hf.write_json", lambda *_: (_ for _ in ()).throw(OSError("gone")))
        with pytest.raises(OSError, match="gone"):
            to_hf(checkpoint, tmp_path / "hf", how=Writing(max_shard_gb=SMALL_SHARD))
    assert list((tmp_path / ".hf.tmp").glob("model-*.json"))
    to_hf(checkpoint, tmp_path / "hf", how=Writing(dtype="bf16", max_shard_gb=SMALL_SHARD))
    assert "source.dtype None, this run has 'bf16'; starting anew" in capsys.readouterr().err
    assert {
        tensor.dtype for path in (tmp_path / "hf").glob("*.safetensors") for tensor in load_file(path).values()
    } == {torch.bfloat16}


def test_what_an_older_version_left_is_not_continued(small, tmp_path, capsys):
    _, checkpoint, back = small
    (tmp_path / ".hf.tmp/.proofs").mkdir(parents=True)
    (tmp_path / ".hf.tmp/.job.json").write_text("{}")
    (tmp_path / ".hf.tmp/model-00009.safetensors").touch()
    to_hf(checkpoint, tmp_path / "hf", how=Writing(max_shard_gb=SMALL_SHARD))
    assert "begun with inputs that nobody noted; starting anew" in capsys.readouterr().err
    assert bytes_of(tmp_path / "hf") == bytes_of(back)


def test_one_conversion_at_a_time_and_none_over_what_is_there(small, tmp_path):
    _, checkpoint, back = small
    with work_on(tmp_path / "hf").held(), pytest.raises(UserError, match=r"another run is writing .*/hf; wait for it"):
        to_hf(checkpoint, tmp_path / "hf")
    shutil.copytree(back, tmp_path / "hf")
    work_on(tmp_path / "hf").notes.mkdir()  # of a run that was killed when all was done
    to_hf(checkpoint, tmp_path / "hf")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]
    with pytest.raises(UserError, match="was begun with dtype None, this run has 'bf16'; give another --output"):
        to_hf(checkpoint, tmp_path / "hf", how=Writing(dtype="bf16"))
    (tmp_path / "hf/config.json").write_text("{}")
    with pytest.raises(UserError, match="exists and is not a whole export; remove it or give another --output"):
        to_hf(checkpoint, tmp_path / "hf")


def test_an_export_reads_what_was_imported_once(small, tmp_path, monkeypatch):
    """Its checksum too is of that reading: with one thread, in order, little is read twice (K and V behind Q)."""
    _, checkpoint, back = small
    read = []

    def counted(descriptor, buffers, *arguments, really=os.preadv):
        read.append(really(descriptor, buffers, *arguments))
        return read[-1]

    monkeypatch.setattr(os, "preadv", counted)
    to_hf(checkpoint, tmp_path / "hf", how=Writing(max_shard_gb=SMALL_SHARD, workers=1))
    size = sum(path.stat().st_size for path in (checkpoint / "state").glob("*.distcp"))
    assert size <= sum(read) < 1.1 * size
    assert bytes_of(tmp_path / "hf") == bytes_of(back)


@pytest.mark.parametrize("place", ["values", "end"])
def test_a_bit_that_flipped_in_a_tensor_stops_the_export(small, tmp_path, place):
    _, checkpoint, _ = small
    shutil.copytree(checkpoint, tmp_path / "copy")
    file = sorted((tmp_path / "copy/state").glob("__0_[0-9]*.distcp"))[1]
    content = bytearray(file.read_bytes())
    offset = {"values": len(content) // 2, "end": len(content) - 1}[place]
    content[offset] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged"):
        to_hf(tmp_path / "copy", tmp_path / "hf", how=Writing(max_shard_gb=SMALL_SHARD))
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}


def test_transformers_reads_the_shards(small):
    original, _, back = small
    assert len(list(back.glob("model-*.safetensors"))) > 2
    ours, theirs = (AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (back, original))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_another_number_format_is_asked_for_or_refused(small, tmp_path):
    original, checkpoint, _ = small
    to_hf(checkpoint, tmp_path / "bf16", how=Writing(dtype="bf16"))
    before, after = (load_file(folder / "model.safetensors") for folder in (original, tmp_path / "bf16"))
    assert all(torch.equal(before[name].bfloat16(), after[name]) for name in before | after)
    assert json.loads((tmp_path / "bf16/config.json").read_text())["dtype"] == "bfloat16"
    assert first_difference(tmp_path / "bf16", checkpoint) == ""
    after["model.norm.weight"] = before["model.norm.weight"]
    save_file(after, tmp_path / "bf16" / "model.safetensors")
    with pytest.raises(UserError, match="weights in bfloat16 and float32; give --dtype bf16 or fp32"):
        from_hf(tmp_path / "bf16", tmp_path / "mixed")
    from_hf(tmp_path / "bf16", tmp_path / "mixed", how=Writing(dtype="fp32"))
    assert first_difference(tmp_path / "bf16", tmp_path / "mixed") == ""


def test_verify_names_the_first_difference(small, tmp_path):
    original, checkpoint, back = small
    done = run_python("tools/convert.py", "verify", "--model", back, "--checkpoint", checkpoint, "--logits", "--json")
    result = json.loads(done.stdout)
    assert (result["equal"], result["first_difference"]) == (True, None)
    assert result["logits_difference"] < 1e-5 < 0.1 < result["largest_logit"]
    tensors = load_file(original / "model.safetensors")
    for name in ("model.layers.1.self_attn.k_proj.weight", "model.layers.2.mlp.up_proj.weight"):
        tensors[name][3, 5] += 1
    (tmp_path / "hf").mkdir()
    save_file(tensors, tmp_path / "hf/model.safetensors")
    (tmp_path / "hf/config.json").write_text((original / "config.json").read_text())
    arguments = ("tools/convert.py", "verify", "--model", tmp_path / "hf", "--checkpoint", checkpoint)
    done = run_python(*arguments, check=False)
    assert done.returncode == 1
    assert done.stdout == "differ: model.layers.1.self_attn.k_proj.weight: 1 of 2048 values differ\n"
    assert logits_difference(tmp_path / "hf", checkpoint)[0] > 1e-3


class _Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_an_index_that_would_run_something_is_refused(small, tmp_path):
    """Even with a manifest that vouches for it."""
    _, checkpoint, _ = small
    copy = tmp_path / "copy"
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name in manifest["files"]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((checkpoint / name).read_bytes())
    index = copy / "state/.metadata"
    index.write_bytes(pickle.dumps(_Hostile(tmp_path / "ran")))
    entry = {"bytes": index.stat().st_size, "sha256": sha256_file(index)}
    manifest["files"]["state/.metadata"] = entry
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"is not an index of a sharded checkpoint \(it names (_)?io.open\)"):
        to_hf(copy, tmp_path / "hf")
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_model(tmp_path):
    """A model of 590 MiB more takes no more memory, up to a few of its largest tensors (16 MiB)."""
    peaks = {}
    for layers in (2, 50):
        folder = tmp_path / str(layers)
        shape = {"hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8, "num_key_value_heads": 4}
        config = Qwen2Config(vocab_size=8192, num_hidden_layers=layers, tie_word_embeddings=True, **shape)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder / "hf")
        how = ("--workers", 2, "--max-shard-gb", 0.1)
        load = peak_mib(
            "tools/convert.py", "from-hf", "--model", folder / "hf", "--output", folder / "checkpoint", *how
        )
        export = peak_mib(
            "tools/convert.py", "to-hf", "--checkpoint", folder / "checkpoint", "--output", folder / "back", *how
        )
        peaks[layers] = (load, export)
    grown = [large - little for little, large in zip(peaks[2], peaks[50], strict=True)]
    assert max(grown) < 4 * 16, peaks
