"""A data set of which one bit is another: named before it is trained on."""

import json
import re

import numpy as np
import pytest
import yaml

from megatron_rfft.common.cli import run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization import integrity
from megatron_rfft.tokenization.integrity import TokensCheck, check_small_files
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import run_python


@pytest.fixture
def prefix(small_data, tmp_path):
    tokenize_corpus(small_data.corpus, small_data.tokenizer, tmp_path / "data")
    return tmp_path / "data"


def flip(file, place: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(len(content) * place)] ^= 4
    file.write_bytes(content)


def opened(prefix) -> str:
    """What training says of the data set before its first step and checkpoint; empty if nothing."""
    try:
        documents = Documents(prefix)
        check_small_files([documents])
        return TokensCheck([documents]).problem() or ""
    except UserError as error:
        return str(error)


def edit(prefix, change) -> None:
    path = prefix.with_name("data.manifest.json")
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage",
    [
        lambda prefix: flip(prefix.with_name("data.bin"), 0.5),
        lambda prefix: prefix.with_name("data.idx").unlink(),
        lambda prefix: flip(prefix.with_name("data.docs.npy"), 0.02),
        lambda prefix: prefix.with_name("data.manifest.json").write_text("{"),
        lambda prefix: edit(prefix, lambda manifest: manifest.update(files={})),
        lambda prefix: edit(prefix, lambda manifest: manifest.pop("inputs")),
        lambda prefix: edit(prefix, lambda manifest: manifest["config"].update(vocab_size=900)),
    ],
)
def test_tokenizing_again_repairs_what_is_damaged(small_data, prefix, capsys, damage):
    """As every message about it advises."""
    sound = {file.name: file.read_bytes() for file in prefix.parent.glob("data.*") if file.is_file()}
    damage(prefix)
    tokenize_corpus(small_data.corpus, small_data.tokenizer, prefix)
    assert f"note: {prefix} is damaged; making it anew" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in prefix.parent.glob("data.*") if file.is_file()} == sound
    assert opened(prefix) == ""


@pytest.mark.parametrize("name", ["data.bin", "data.idx", "data.docs.npy", "data.tokenizer/tokenizer.json"])
@pytest.mark.parametrize("place", [0.0, 0.001, 0.3, 0.5, 0.9, 0.9999])
def test_a_flipped_bit_is_named(prefix, name, place):
    assert opened(prefix) == ""
    flip(prefix.parent / name, place)
    message = opened(prefix)
    assert (
        message.endswith("tokenize the corpus again")
        or "is not a Megatron index" in message
        or "not supported" in message
    )
    assert "data" in message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("response_start", 0, "a response begins outside of its document"),
        ("response_start", -7, "a response begins outside of its document"),
        ("task", 9, "a document belongs to no task"),
    ],
)
def test_boundaries_that_cannot_be_are_refused_without_a_checksum(prefix, field, value, message):
    file = prefix.with_name("data.docs.npy")
    rows = np.load(file)
    rows[field][5] = value
    np.save(file, rows)
    with pytest.raises(UserError, match=rf"data is damaged: {message}.*number 5\); tokenize the corpus again"):
        Documents(prefix)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(files={}), "it has no checksum of data.bin"),
        (lambda manifest: manifest["files"].pop("data.tokenizer/tokenizer.json"), "has no checksum of .*/tokenizer.js"),
        (lambda manifest: manifest["files"].pop("data.tokenizer/tokenizer_config.json"), "no checksum of .*_config"),
        (lambda manifest: manifest.pop("config"), "Object missing required field `config`"),
        (lambda manifest: manifest["config"].update(vocab_size="700"), "Expected `int`, got `str`"),
        (lambda manifest: manifest["config"].update(vocab_size=900), "says config.vocab_size 900, its tokenizer 700"),
        (lambda manifest: manifest["config"].update(stop_id=3), "the manifest states two stop tokens"),
        (lambda manifest: manifest["counts"].pop("documents"), "missing required field `documents` - at `.*counts`"),
        (lambda manifest: manifest["per_task"].update(other={}), "the manifest states two lists of tasks"),
        (lambda manifest: manifest["lengths"].pop("coin_flip"), "the manifest states two lists of tasks"),
        (lambda manifest: manifest["per_task"]["coin_flip"].update(tokens=7), "counts that are not the sums of its"),
        (lambda manifest: manifest.update(chat=True), "that prompts are in the chat template, and that they are not"),
        (lambda manifest: manifest["inputs"].update(max_tokens=3), "a limit of tokens that its own documents exceed"),
        (lambda manifest: manifest["skipped"].update(bad=2), "that bad records were refused, and left out"),
        (lambda manifest: manifest["skipped"].update(too_long=2), "that long documents were refused, and left out"),
        (lambda manifest: manifest.update(tasks=[]), "a document belongs to no task of the manifest"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(prefix, change, message):
    edit(prefix, change)
    assert re.search(rf"damaged.*{message}.*tokenize the corpus again$", opened(prefix))


def test_a_token_outside_the_vocabulary_is_named_by_the_rank_that_meets_it(prefix, monkeypatch, capsys):
    """The embedding would see it before the file's checksum is known."""
    documents = Documents(prefix)
    tokens = np.memmap(prefix.with_name("data.bin"), "<u2", "r+")
    tokens[documents.tokens.offsets[7] // 2 + 3] |= 1 << 14
    tokens.flush()
    dataset = PackedDataset([prefix], sequence_length=1024, seed=0)

    def read_all() -> None:
        for sequence in range(dataset.epoch_length):
            dataset.batch([sequence])

    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(SystemExit, match="2"):
        run_command(read_all)
    line = capsys.readouterr().err
    assert re.search(r"^error: .*data is damaged: document 7 has the token \d+, .* of 700; tokenize the corpus", line)


def test_a_run_on_damaged_tokens_leaves_no_checkpoint(prefix, tmp_path):
    flip(prefix.with_name("data.bin"), 0.5)
    model = {"num_layers": 1, "hidden_size": 16, "ffn_hidden_size": 32, "num_attention_heads": 2, "num_query_groups": 2}
    config = {
        "run": {"output": str(tmp_path / "run"), "steps": 3},
        "model": model,
        "data": {"train": str(prefix), "sequence_length": 1024},
        "batch": {"global_batch_size": 2},
        "precision": {"dtype": "fp32"},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    done = run_python("-m", "megatron_rfft.train", "--config", tmp_path / "run.yaml", check=False)
    assert done.returncode == 2
    assert (
        done.stderr.rstrip()
        .splitlines()[-1]
        .endswith("data.bin is not what its manifest says; tokenize the corpus again")
    )
    assert not list((tmp_path / "run/checkpoints").glob("step-*"))


def test_the_manifest_of_the_fixture_names_every_file(prefix):
    """Else a check that goes by the manifest would miss some."""
    manifest = json.loads(prefix.with_name("data.manifest.json").read_text())
    assert {"data.bin", "data.idx", "data.docs.npy", "data.tokenizer/tokenizer.json"} <= set(manifest["files"])


def test_a_tokenizer_that_several_data_sets_share_is_loaded_once_and_each_is_checked(
    small_data, prefix, tmp_path, monkeypatch
):
    loaded = []
    monkeypatch.setattr(integrity, "load_tokenizer", lambda path: loaded.append(path) or load_tokenizer(path))
    tokenize_corpus(small_data.corpus, small_data.tokenizer, tmp_path / "other")
    loaded.clear()
    check_small_files([Documents(prefix), Documents(tmp_path / "other")])
    assert len(loaded) == 1
    edit(prefix, lambda manifest: manifest["config"].update(vocab_size=900))
    with pytest.raises(UserError, match=r"says config\.vocab_size 900, its tokenizer 700"):
        check_small_files([Documents(tmp_path / "other"), Documents(prefix)])
