"""Splits of instances in a data set: recorded from its input, checked against it, and told where test questions are."""

import json

import pytest

from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.corpus.export import export_corpora
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.data.documents import Documents
from megatron_rfft.data.splits import warn_of_asked, warnings_of_training
from megatron_rfft.tokenization.inspection import select_documents
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sources import open_inputs, open_preset
from megatron_rfft.tokenization.tokenize import tokenize, tokenize_corpus
from megatron_rfft.tokenization.verify import verify_dataset
from tests.conftest import run_python

TESTED = CorpusConfig({"length_int": (4, 5)}, samples=20, split="test", form="lean")


@pytest.fixture(scope="module")
def tested_corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "test"
    generate_corpus(TESTED, folder)
    return folder


def edit(prefix, change) -> None:
    path = prefix.with_name(f"{prefix.name}.manifest.json")
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_splits_are_those_of_the_input_in_whatever_shape_it_comes(small_data, tested_corpus, tmp_path):
    assert Documents(small_data.prefix).splits == {"train": 420}
    both = tokenize_corpus([small_data.corpus, tested_corpus], small_data.tokenizer, tmp_path / "both")
    assert both["splits"] == {"train": 420, "test": 40}
    shards = sorted(tested_corpus.glob("*.jsonl"))
    (tmp_path / "copy.jsonl").write_bytes(b"".join(shard.read_bytes() for shard in shards))
    export_corpora([tested_corpus], tmp_path / "exported")
    for name in ("copy.jsonl", "exported/lean/*.parquet"):
        manifest = tokenize_corpus([tmp_path / name], small_data.tokenizer, tmp_path / "data" / name[:4])
        assert manifest["splits"] == {"test": 40}
    preset = tokenize(open_preset(TESTED), Options(small_data.tokenizer), tmp_path / "preset")
    assert preset["splits"] == {"test": 40}


def test_whoever_tokenizes_test_instances_is_warned_and_sees_them_later(small_data, tested_corpus, tmp_path):
    words = ("data_prep/tokenize_corpus.py", "--tokenizer", small_data.tokenizer, "--output", tmp_path / "data")
    for _ in range(2):  # a finished one is as bad as a new one
        done = run_python(*words, "--input", tested_corpus)
        assert "warning: " in done.stderr
        assert "40 of 40 documents are instances of split test, which evaluations ask" in done.stderr
    shown = run_python("data_prep/show.py", "--input", tmp_path / "data", "--count", 0, "--json")
    assert json.loads(shown.stdout)["splits"] == {"test": 40}
    fine = run_python(*words[:3], "--output", tmp_path / "fine", "--input", small_data.corpus)
    assert "warning" not in fine.stderr


def test_splits_that_the_input_does_not_have_are_found(small_data, tested_corpus, tmp_path):
    prefix = tmp_path / "data"
    tokenize_corpus(tested_corpus, small_data.tokenizer, prefix)
    edit(prefix, lambda manifest: manifest.update(splits={"train": 40}))
    assert verify_dataset(prefix)["problems"] == []  # the files alone do not say
    found = verify_dataset(prefix, open_inputs([tested_corpus]), small_data.tokenizer, samples=1)
    assert found["problems"] == ["the manifest says splits {'train': 40}, the input says {'test': 40}"]
    edit(prefix, lambda manifest: manifest.update(splits={"train": 41}))
    assert verify_dataset(prefix)["problems"] == ["the manifest states more instances of splits than documents"]


def test_a_data_set_of_an_earlier_version_is_read_and_says_nothing(small_data, tested_corpus, tmp_path):
    prefix = tmp_path / "data"
    tokenize_corpus(tested_corpus, small_data.tokenizer, prefix)
    assert len(warnings_of_training([Documents(prefix)])) == 1
    edit(prefix, lambda manifest: manifest.pop("splits"))
    documents = Documents(prefix)
    assert documents.splits is None
    assert warnings_of_training([documents]) == []
    found = verify_dataset(prefix, open_inputs([tested_corpus]), small_data.tokenizer)
    assert (found["rederived"], found["problems"]) == (40, [])


def test_a_data_set_with_a_task_s_old_name(small_data, tmp_path):
    generate_corpus(CorpusConfig({"fizz_buzz": (2, 3)}, samples=10, split="test", form="lean"), tmp_path / "corpus")
    prefix = tmp_path / "data"
    tokenize_corpus(tmp_path / "corpus", small_data.tokenizer, prefix)
    manifest = tmp_path / "data.manifest.json"
    manifest.write_text(manifest.read_text().replace("fizz_buzz", "lc_412"))
    documents = Documents(prefix)
    assert (documents.manifest["tasks"], documents.tasks) == (["lc_412"], ["fizz_buzz"])
    assert select_documents(documents, "lc_412", [3], None, 50) == select_documents(
        documents, "fizz_buzz", [3], None, 50
    )
    assert PackedDataset([prefix], 2048, seed=0).cells == [("fizz_buzz", 2), ("fizz_buzz", 3)]
    assert verify_dataset(prefix)["problems"] == []
    trained_on = {"name": "data", "documents": 20, "splits": {"test": 20}, "tasks": ["lc_412"]}
    assert "the questions of fizz_buzz may be among them" in warn_of_asked([trained_on], "test", ["fizz_buzz"])


def test_a_foreign_split_is_no_split_of_instances(small_data, tmp_path):
    splits = ["test", "dev", ["test"], 3, None, {"a": 1}]
    records = [{"prompt": f"Q: {n}", "response": "x", "split": split} for n, split in enumerate(splits)]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, records)))
    source = open_inputs([tmp_path / "in.jsonl"])
    assert tokenize(source, Options(small_data.tokenizer), tmp_path / "data")["splits"] == {"test": 1}
    without = Options(small_data.tokenizer, fields=Fields(split_field=""))
    assert tokenize(source, without, tmp_path / "without")["splits"] == {}
