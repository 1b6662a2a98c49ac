"""Exported conversations are what ``rfft tokenize --chat`` learns, in Parquet and in JSONL."""

import json
import shutil

import pyarrow.parquet
import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.manifest import verify_manifest
from megatron_rfft.corpus import CorpusConfig, generate_corpus, read_records
from megatron_rfft.corpus.export import export_corpora
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import run_python

CHAT_ML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora") / "corpus"
    generate_corpus(CorpusConfig({"coin_flip": [2, 3], "length_int": [4]}, samples=9, num_shards=3), folder)
    return folder


def test_both_files_hold_the_conversations_of_the_corpus(corpus, tmp_path):
    run_python("-m", "megatron_rfft", "export-dataset", "--layout", "messages", "--input", corpus, "--output", tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "rule/train.jsonl").read_text().splitlines()]
    shards = sorted((tmp_path / "rule").glob("train-*-of-00003.parquet"))
    assert [row for shard in shards for row in pyarrow.parquet.read_table(shard).to_pylist()] == rows
    records = list(read_records(corpus))
    assert len(rows) == len(records) == 27
    for row, record in zip(rows, records, strict=True):
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert [message["content"] for message in row["messages"]] == [record["prompt"], record["response"]]
        assert {row[name] == record[name] for name in ("id", "task", "length")} == {True}
    assert verify_manifest(tmp_path / "manifest.json", "export") == []
    assert "`messages` is a conversation" in (tmp_path / "README.md").read_text()


def test_a_chat_template_makes_the_document_that_tokenize_makes(corpus, bigram_model, tmp_path):
    from transformers import AutoTokenizer

    folder = shutil.copytree(bigram_model, tmp_path / "chat")
    (folder / "chat_template.jinja").write_text(CHAT_ML)
    export_corpora([corpus], tmp_path / "export", layout="messages")
    row = json.loads((tmp_path / "export/rule/train.jsonl").read_text().splitlines()[0])
    ours, record = load_tokenizer(folder), next(read_records(corpus))
    theirs = AutoTokenizer.from_pretrained(folder).apply_chat_template(row["messages"], tokenize=False)
    assert theirs == ours.chat_prompt(record["prompt"]) + record["response"] + "<|im_end|>\n"


def test_llama_factory_finds_each_corpus_by_form_and_split(corpus, tmp_path):
    export_corpora([corpus], tmp_path, layout="messages")
    (name, entry), *others = json.loads((tmp_path / "dataset_info.json").read_text()).items()
    assert (name, others) == ("rule_train", [])
    assert (tmp_path / entry["file_name"]).is_file()
    assert entry["columns"] == {"messages": "messages"}


def test_a_layout_is_chosen_once_for_a_folder(corpus, tmp_path):
    manifest = export_corpora([corpus], tmp_path, layout="messages")
    assert export_corpora([corpus], tmp_path, layout="messages") == manifest
    with pytest.raises(UserError, match="was begun with --layout 'messages', this run has None"):
        export_corpora([corpus], tmp_path)
    with pytest.raises(UserError, match="layout 'chat' is unknown; choose one of records, messages, rl"):
        export_corpora([corpus], tmp_path / "other", layout="chat")
