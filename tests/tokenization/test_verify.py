"""Proving a data set: a sound one is found sound, and every kind of damage is named."""

import json

import numpy as np
import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sources import open_inputs
from megatron_rfft.tokenization.tokenize import tokenize, tokenize_corpus
from megatron_rfft.tokenization.verify import verify_dataset
from tests.conftest import run_python


@pytest.fixture
def prefix(small_data, tmp_path):
    tokenize_corpus(small_data.corpus, small_data.tokenizer, tmp_path / "data")
    return tmp_path / "data"


def restate(prefix, suffix: str) -> None:
    """Make the manifest agree with a changed file, so that only the deeper checks can find it."""
    path, file = prefix.with_name("data.manifest.json"), prefix.with_name(f"data{suffix}")
    manifest = json.loads(path.read_text())
    manifest["files"][file.name] = {"bytes": file.stat().st_size, "sha256": sha256_file(file)}
    path.write_text(json.dumps(manifest))


def test_a_sound_data_set(prefix, small_data):
    assert verify_dataset(prefix) == {"documents": 420, "rederived": 0, "problems": []}
    words = ("data_prep/verify.py", "--input", prefix, "--corpus", small_data.corpus)
    done = run_python(*words, "--tokenizer", small_data.tokenizer, "--samples", 50)
    assert done.stdout == f"sound: 420 documents, 50 of them tokenized again: {prefix}\n"


def test_a_changed_byte(prefix):
    file = prefix.with_name("data.bin")
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert verify_dataset(prefix)["problems"] == [f"{file} has another checksum than the manifest"]
    assert run_python("data_prep/verify.py", "--input", prefix, check=False).returncode == 1


def test_a_changed_token_is_found_by_tokenizing_again(prefix, small_data):
    tokens = np.memmap(prefix.with_name("data.bin"), "<u2", "r+")
    tokens[3] += 1
    tokens.flush()
    restate(prefix, ".bin")
    assert verify_dataset(prefix)["problems"] == []
    result = verify_dataset(prefix, open_inputs([small_data.corpus]), small_data.tokenizer)
    assert result["problems"] == ["document 0 has other tokens when it is tokenized again"]


def test_a_missing_stop_token(prefix):
    tokens = np.memmap(prefix.with_name("data.bin"), "<u2", "r+")
    tokens[-1] += 1
    tokens.flush()
    restate(prefix, ".bin")
    (problem,) = verify_dataset(prefix)["problems"]
    assert "does not end in the stop token (1 in all, the first is number 419)" in problem


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("response_start", 0, "a response begins outside of its document"),
        ("response_start", 60_000, "a response begins outside of its document"),
        ("task", 9, "belongs to no task of the manifest"),
    ],
)
def test_changed_rows(prefix, field, value, message):
    file = prefix.with_name("data.docs.npy")
    rows = np.load(file)
    rows[field][5] = value
    np.save(file, rows)
    restate(prefix, ".docs.npy")
    assert any(message in problem for problem in verify_dataset(prefix)["problems"])


def test_a_boundary_file_that_is_cut_is_a_problem_in_one_line(prefix):
    file = prefix.with_name("data.docs.npy")
    file.write_bytes(file.read_bytes()[:-5])
    done = run_python("data_prep/verify.py", "--input", prefix, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "data.docs.npy has" in done.stdout
    restate(prefix, ".docs.npy")
    (problem,) = verify_dataset(prefix)["problems"]
    assert "data.docs.npy is damaged" in problem


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("counts", "tokens"), 7),
        (("per_task", "coin_flip", "target_tokens"), 7),
        (("lengths", "coin_flip"), [1, 2, 3]),
        (("config", "max_tokens"), 10_000),
        (("config", "vocab_size"), 701),
        (("config", "stop_id"), 3),
        (("config", "bos_id"), 9),
        (("inputs", "stop_id"), 3),
        (("tasks",), ["length_int", "coin_flip"]),
        (("chat",), True),
    ],
)
def test_every_field_that_follows_from_the_files_is_checked(prefix, keys, value):
    path = prefix.with_name("data.manifest.json")
    manifest = json.loads(path.read_text())
    place = manifest
    for key in keys[:-1]:
        place = place[key]
    assert place[keys[-1]] != value
    place[keys[-1]] = value
    path.write_text(json.dumps(manifest))
    assert verify_dataset(prefix)["problems"]


def renamed(manifest: dict) -> None:
    manifest["tasks"][manifest["tasks"].index("coin_flip")] = "coin_flop"
    for key in ("lengths", "per_task"):
        manifest[key]["coin_flop"] = manifest[key].pop("coin_flip")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(form="rule"), "the manifest says form 'rule', the input says 'lean'"),
        (renamed, "the manifest says tasks ['coin_flop', 'length_int'], the input says ['coin_flip', 'length_int']"),
        (lambda manifest: manifest.update(engine="fastokens"), "the manifest says engine 'fastokens'"),
    ],
)
def test_what_follows_from_the_input_alone_is_checked_with_it(prefix, small_data, change, message):
    path = prefix.with_name("data.manifest.json")
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    result = verify_dataset(prefix, open_inputs([small_data.corpus]), small_data.tokenizer)
    assert result["problems"][0].startswith(message)


def test_records_that_were_left_out_are_counted_again(small_data, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"prompt": "Q: 1", "response": "x"}\n{\n')
    tokenize(open_inputs([file]), Options(small_data.tokenizer, fields=Fields(skip_bad=True)), tmp_path / "data")
    verify = (tmp_path / "data", open_inputs([file]), small_data.tokenizer)
    assert verify_dataset(*verify)["problems"] == []
    path = tmp_path / "data.manifest.json"
    path.write_text(path.read_text().replace('"bad": 1', '"bad": 4'))
    assert verify_dataset(*verify)["problems"] == ["the manifest says skipped.bad 4, the input says 1"]


def test_other_sources_are_refused(prefix, small_data, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text('{"prompt": "a", "response": "b"}\n')
    with pytest.raises(UserError, match=r"was begun with source\.files .*; give what it was made from"):
        verify_dataset(prefix, open_inputs([other]), small_data.tokenizer)
    with pytest.raises(UserError, match="give --tokenizer"):
        verify_dataset(prefix, open_inputs([other]))
    done = run_python("data_prep/verify.py", "--input", tmp_path / "absent", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
