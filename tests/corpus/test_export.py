"""Exported corpora are what Hugging Face ``datasets`` loads, with a card that it reads."""

import json

import pytest
from huggingface_hub import DatasetCard

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import CorpusConfig, generate_corpus, read_records
from megatron_rfft.corpus.export import export_corpora
from megatron_rfft.corpus.layouts import COLUMNS
from tests.conftest import run_python


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    for name, split, form in (("a", "train", "rule"), ("b", "test", "rule"), ("c", "train", "direct")):
        config = CorpusConfig(
            {"coin_flip": [2, 3], "remove_element": [4]}, samples=20, split=split, form=form, num_shards=2
        )
        generate_corpus(config, folder / name)
    return [folder / name for name in "abc"]


def test_datasets_loads_every_configuration_and_split(corpora, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    import datasets

    done = run_python("data_prep/export_hf.py", "--input", *corpora, "--output", tmp_path / "export", "--json")
    assert json.loads(done.stdout)["records"] == {"rule/train": 60, "rule/test": 60, "direct/train": 60}
    datasets.disable_progress_bars()
    for corpus, form, split in zip(corpora, ("rule", "rule", "direct"), ("train", "test", "train"), strict=True):
        loaded = datasets.load_dataset(str(tmp_path / "export"), form, split=split, cache_dir=str(tmp_path / "cache"))
        rows = [{**row, "arguments": json.loads(row["arguments"])} for row in loaded]
        assert rows == list(read_records(corpus))
        assert tuple(loaded.column_names) == COLUMNS


def test_the_card_says_what_is_in_there(corpora, tmp_path):
    export_corpora(corpora, tmp_path, "my rules")
    card = (tmp_path / "README.md").read_text()
    header = DatasetCard(card).data
    assert header.license == "apache-2.0"
    assert [config["config_name"] for config in header.configs] == ["rule", "direct"]
    assert header.size_categories == ["n<1K"]
    assert "# my rules" in card
    assert (
        "near twins of held-out tasks, not for models that are scored on these: `remove_element` (of `move_zeroes`)"
        in card
    )
    assert "| coin_flip | symbolic | 2-3 |" in card


def test_an_export_is_left_alone_and_another_one_refused(corpora, tmp_path):
    export_corpora(corpora[:1], tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    export_corpora(corpora[:1], tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times
    with pytest.raises(UserError, match=r"was begun with a .*, this run has None; give another --output"):
        export_corpora(corpora[1:], tmp_path)
    with pytest.raises(UserError, match="the same form and split"):
        export_corpora([corpora[0], corpora[0].parent / "a" / ".." / "a"], tmp_path / "twice")


def test_a_changed_shard_is_not_passed_on(tmp_path):
    config = CorpusConfig({"coin_flip": [2, 3]}, samples=9, num_shards=2)
    generate_corpus(config, tmp_path / "corpus")
    shard = tmp_path / "corpus/shard-00001-of-00002.jsonl"
    shard.write_text(shard.read_text().replace("heads", "herds", 1))
    with pytest.raises(UserError, match=r"shard-00001-of-00002\.jsonl has another checksum"):
        export_corpora([tmp_path / "corpus"], tmp_path / "export")
    assert not (tmp_path / "export/manifest.json").exists()
