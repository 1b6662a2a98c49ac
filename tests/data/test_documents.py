"""Documents on disk: prompt, response, stop token, and where the loss begins."""

import json
import shutil

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.corpus import read_records
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import run_python


def test_a_document_is_prompt_response_and_stop_token(small_data):
    documents, tokenizer = Documents(small_data.prefix), load_tokenizer(small_data.tokenizer)
    records = list(read_records(small_data.corpus))
    assert len(documents) == len(records)
    for index, record in enumerate(records):
        tokens, row = documents.tokens[index].tolist(), documents.rows[index]
        start = row["response_start"]
        assert tokens[:start] == tokenizer.encode(record["prompt"])
        assert tokens[start:] == [*tokenizer.encode(record["response"]), tokenizer.stop_id]
        assert documents.manifest["tasks"][row["task"]] == record["task"]
        assert row["length"] == record["length"]


def test_the_manifest_holds_and_states_what_was_trained(small_data):
    documents = Documents(small_data.prefix)
    assert verify_manifest(documents.paths.manifest, "dataset") == []
    assert documents.manifest["form"] == "lean"
    assert documents.manifest["lengths"] == {"coin_flip": [1, 2, 3, 4], "length_int": [2, 3, 4]}
    starts = documents.rows["response_start"]
    assert documents.manifest["counts"]["target_tokens"] == int((documents.lengths - starts).sum())


def test_tokenizing_again_leaves_the_files_and_other_inputs_are_refused(small_data, tmp_path):
    prefix = tmp_path / "again"
    first = tokenize_corpus(small_data.corpus, small_data.tokenizer, prefix)
    stamp = (tmp_path / "again.bin").stat().st_mtime_ns
    assert tokenize_corpus(small_data.corpus, small_data.tokenizer, prefix) == first
    assert (tmp_path / "again.bin").stat().st_mtime_ns == stamp
    other = tmp_path / "other.model"
    shutil.copyfile(small_data.tokenizer, other)
    with other.open("ab") as handle:
        handle.write(b"\x00")
    with pytest.raises(UserError, match=r"other inputs|not a SentencePiece model"):
        tokenize_corpus(small_data.corpus, other, prefix)


def test_a_damaged_data_set_is_made_again(small_data, tmp_path):
    prefix = tmp_path / "data"
    tokenize_corpus(small_data.corpus, small_data.tokenizer, prefix)
    whole = (tmp_path / "data.bin").read_bytes()
    (tmp_path / "data.bin").write_bytes(whole[:100])
    tokenize_corpus(small_data.corpus, small_data.tokenizer, prefix)
    assert (tmp_path / "data.bin").read_bytes() == whole


def test_documents_over_the_limit_are_refused_by_name(small_data, tmp_path):
    with pytest.raises(UserError, match=r"has \d+ tokens, over the limit of 20"):
        tokenize_corpus(small_data.corpus, small_data.tokenizer, tmp_path / "data", 20)
    assert not (tmp_path / "data.bin").exists()


def test_a_data_set_without_its_tokenizer_is_refused(small_data, tmp_path):
    prefix = tmp_path / "data"
    tokenize_corpus(small_data.corpus, small_data.tokenizer, prefix)
    shutil.rmtree(tmp_path / "data.tokenizer")
    with pytest.raises(UserError, match="without its tokenizer"):
        Documents(prefix)


def test_the_commands_from_corpus_to_data_set(small_data, tmp_path):
    vocabulary = tmp_path / "small.model"
    run_python(
        "data_prep/train_tokenizer.py", "--input", small_data.corpus, "--vocab-size", 380, "--output", vocabulary
    )
    command = ("data_prep/tokenize_corpus.py", "--input", small_data.corpus, "--tokenizer", vocabulary)
    done = run_python(*command, "--output", tmp_path / "data", "--json")
    assert json.loads(done.stdout)["documents"] == len(Documents(tmp_path / "data"))
    wrong = run_python(*command[:-1], tmp_path / "absent.model", "--output", tmp_path / "data", check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: no such file")
    assert wrong.stderr.count("\n") == 1
