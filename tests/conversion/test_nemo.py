""".nemo files by their documented layout, and (slow) read by NeMo's own connector."""

import io
import json
import pickle
import tarfile
from pathlib import Path

import pytest
import yaml
from transformers import LlamaConfig, Qwen3Config

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restricted import read_index
from megatron_rfft.conversion.compare_models import first_difference
from megatron_rfft.conversion.from_hf import from_hf
from megatron_rfft.conversion.nemo import from_nemo, to_nemo
from tests.conftest import extra_environment, run_extra
from tests.conversion.test_convert import make_hf_model

PEER = Path(__file__).parent / "peer"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """(HF folder of a scaled Llama with a SentencePiece file, .nemo file)."""
    folder = tmp_path_factory.mktemp("nemo")
    make_hf_model(folder / "hf", tied=False, family=LlamaConfig)
    (folder / "hf/tokenizer.model").write_bytes(b"pieces")
    from_hf(folder / "hf", folder / "checkpoint")
    to_nemo(folder / "checkpoint", folder / "model.nemo")
    return folder / "hf", folder / "model.nemo"


def test_the_layout_is_nemos(packed, tmp_path):
    _, archive = packed
    assert {path.name for path in archive.parent.iterdir()} == {"hf", "checkpoint", "model.nemo"}
    with tarfile.open(archive, "r:") as members:  # not compressed
        names = members.getnames()
        members.extractall(tmp_path, filter="data")
    assert {"./model_config.yaml", "./model_weights/.metadata", "./model_weights/metadata.json"} <= set(names)
    assert "./model_weights/common.pt" in names
    config = yaml.safe_load((tmp_path / "model_config.yaml").read_text())
    assert config["target"].endswith("megatron_gpt_model.MegatronGPTModel")
    assert (config["num_query_groups"], config["qkv_bias"], config["override_vocab_size"]) == (2, False, 301)
    artifact = config["tokenizer"]["model"].removeprefix("nemo:")
    assert (tmp_path / artifact).read_bytes() == b"pieces"
    tensors = read_index(tmp_path / "model_weights").state_dict_metadata
    assert tuple(tensors["model.decoder.layers.mlp.linear_fc1.weight"].size) == (3, 320, 64)
    assert all(name.startswith("model.") for name in tensors)


@pytest.mark.slow
def test_nemos_own_connector_unpacks_ours_and_reads_the_config(packed, tmp_path):
    _, archive = packed
    python = extra_environment("nemo", PEER / "nemo.lock")
    arguments = (archive, tmp_path / "unpacked", tmp_path / "config.json")
    arguments[1].mkdir()
    run_extra(python, PEER / "read_nemo.py", *arguments)
    with tarfile.open(archive, "r:") as members:
        members.extractall(tmp_path / "expected", filter="data")
    ours, theirs = (
        {p.relative_to(f): p.stat().st_size for p in f.rglob("*")} for f in (tmp_path / "expected", arguments[1])
    )
    assert theirs == ours
    assert json.loads(arguments[2].read_text()) == yaml.safe_load((tmp_path / "expected/model_config.yaml").read_text())


def test_a_round_trip_is_bitwise(packed, tmp_path):
    original, archive = packed
    from_nemo(archive, tmp_path / "checkpoint")
    assert first_difference(original, tmp_path / "checkpoint") == ""
    assert (tmp_path / "checkpoint/hf/tokenizer.model").read_bytes() == b"pieces"
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir()) == ["hf", "manifest.json", "state"]


def test_norms_and_head_dimension_of_qwen3_survive(tmp_path):
    make_hf_model(tmp_path / "hf", tied=True, family=Qwen3Config, head_dim=32)
    from_hf(tmp_path / "hf", tmp_path / "checkpoint")
    to_nemo(tmp_path / "checkpoint", tmp_path / "model.nemo")
    assert first_difference(tmp_path / "hf", from_nemo(tmp_path / "model.nemo", tmp_path / "again")) == ""


def _with(archive, target, name: str, content: bytes, kind: bytes = tarfile.REGTYPE):
    """A copy of ``archive`` with member ``name`` replaced or added."""
    with tarfile.open(archive) as old, tarfile.open(target, "w:") as new:
        for member in old:
            if member.name != name:
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
        added = tarfile.TarInfo(name)
        added.size, added.type, added.linkname = len(content), kind, "/etc/passwd" if kind != tarfile.REGTYPE else ""
        new.addfile(added, io.BytesIO(content))
    return target


class _Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_hostile_files_are_refused(packed, tmp_path):
    _, archive = packed
    cases = [
        ("../escaped", b"x", tarfile.REGTYPE, "member '../escaped' leads out of it"),
        ("/tmp/escaped", b"x", tarfile.REGTYPE, "member '/tmp/escaped' leads out of it"),
        ("./link", b"", tarfile.SYMTYPE, "member './link' leads out of it"),
        (
            "./model_weights/.metadata",
            pickle.dumps(_Hostile(tmp_path / "ran")),
            tarfile.REGTYPE,
            "is not an index of a sharded checkpoint",
        ),
    ]
    for number, (name, content, kind, expected) in enumerate(cases):
        changed = _with(archive, tmp_path / f"{number}.nemo", name, content, kind)
        with pytest.raises(UserError, match=expected):
            from_nemo(changed, tmp_path / "checkpoint")
        assert not (tmp_path / "checkpoint").exists()
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path.parent / "escaped").exists()


def test_what_is_no_such_model_is_refused(packed, tmp_path):
    _, archive = packed
    (tmp_path / "text.nemo").write_text("no tar")
    with pytest.raises(UserError, match=r"is not a whole \.nemo file"):
        from_nemo(tmp_path / "text.nemo", tmp_path / "checkpoint")
    config = yaml.safe_dump({"normalization": "layernorm"}).encode()
    changed = _with(archive, tmp_path / "other.nemo", "./model_config.yaml", config)
    with pytest.raises(UserError, match="normalization is not 'rmsnorm'"):
        from_nemo(changed, tmp_path / "checkpoint")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("window_size", [128, 0], r"window_size is \[128, 0\]"),
        ("seq_len_interpolation_factor", 4, "seq_len_interpolation_factor is 4"),
        ("transformer_block_type", "post_ln", "transformer_block_type is 'post_ln'"),
        ("layernorm_zero_centered_gamma", True, "layernorm_zero_centered_gamma is True"),
        ("kv_channels", 128, r"linear_qkv.weight is \(128, 64\), its config says \(1024, 64\)"),
        ("qk_layernorm", True, "qk_layernorm is True, and its weights say otherwise"),
        ("transformer_block_type", "pre_ln", None),
        ("kv_channels", None, None),
    ],
)
def test_a_config_key_that_makes_another_model_is_refused(packed, tmp_path, key, value, expected):
    original, archive = packed
    with tarfile.open(archive) as members:
        config = yaml.safe_load(members.extractfile("./model_config.yaml").read())
    content = yaml.safe_dump(config | {key: value}).encode()
    changed = _with(archive, tmp_path / "other.nemo", "./model_config.yaml", content)
    if expected is None:
        assert first_difference(original, from_nemo(changed, tmp_path / "checkpoint")) == ""
        return
    with pytest.raises(UserError, match=expected):
        from_nemo(changed, tmp_path / "checkpoint")
