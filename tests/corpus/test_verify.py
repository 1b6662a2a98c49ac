"""Proving a corpus: a sound one is found sound, and every kind of damage is named."""

import json
from dataclasses import replace

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import sha256_file
from megatron_rfft.corpus import CorpusConfig, corpus_manifest, generate_corpus, verify
from megatron_rfft.corpus.verify import verify_corpus
from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.sources import open_inputs
from tests.conftest import run_python

CONFIG = CorpusConfig({"coin_flip": [2, 3], "add_int": [4]}, samples=30, num_shards=2)


@pytest.fixture
def corpus(tmp_path):
    generate_corpus(CONFIG, tmp_path)
    return tmp_path


def rewrite(corpus, change) -> None:
    """Change the records of the first shard, and the manifest's checksum with them."""
    manifest = json.loads((corpus / "manifest.json").read_text())
    path = corpus / "shard-00000-of-00002.jsonl"
    records = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    manifest["files"][path.name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    (corpus / "manifest.json").write_text(json.dumps(manifest))


def edit(corpus, change) -> None:
    manifest = json.loads((corpus / "manifest.json").read_text())
    change(manifest)
    (corpus / "manifest.json").write_text(json.dumps(manifest))


def test_a_sound_corpus(corpus):
    assert verify_corpus(corpus) == {"records": 90, "rederived": 90, "problems": []}
    assert verify_corpus(corpus, samples=10)["rederived"] == 10
    done = run_python("data_prep/verify.py", "--input", corpus)
    assert done.stdout == f"sound: 90 records, 90 of them made again: {corpus}\n"


def test_a_changed_byte(corpus):
    path = corpus / "shard-00001-of-00002.jsonl"
    path.write_bytes(path.read_bytes().replace(b"enter", b"Enter", 1))
    assert verify_corpus(corpus)["problems"] == [f"{path} has another checksum than the manifest"]
    done = run_python("data_prep/verify.py", "--input", corpus, check=False)
    assert (done.returncode, done.stderr.count("Traceback")) == (1, 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda records: [{**records[0], "response": "So the answer is 1"}, *records[1:]], "has another response"),
        (lambda records: [{**records[0], "version": 9}, *records[1:]], "has another version"),
        (lambda records: [{**records[0], "task": "nonsense"}, *records[1:]], "can't be made again: no task is called"),
        (lambda records: records[:-1], "records of length"),
        (lambda records: [*records[:-1], records[0]], "is there twice"),
    ],
)
def test_changed_records(corpus, change, expected):
    rewrite(corpus, change)
    assert any(expected in problem for problem in verify_corpus(corpus)["problems"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda manifest: manifest["files"].popitem(), "is damaged .it states 2 and 1 shards.; generate the corpus"),
        (lambda manifest: manifest.update(files={}), "it states 2 and 0 shards"),
        (lambda manifest: manifest["counts"].update(records=91), "it states 91 and 90 records"),
        (lambda manifest: manifest["counts"].pop("cells"), "missing required field `cells`"),
        (lambda manifest: manifest["config"].pop("form"), "missing required field `form`"),
        (lambda manifest: manifest.update(config=None), "Expected `object`, got `null`"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused_by_whoever_reads_it(corpus, change, expected):
    edit(corpus, change)
    for use in (verify_corpus, corpus_manifest, lambda folder: open_inputs([folder])):
        with pytest.raises(UserError, match=expected):
            use(corpus)
    generate_corpus(CONFIG, corpus)
    assert verify_corpus(corpus, samples=1)["problems"] == []


@pytest.mark.parametrize(("key", "value"), [("split", "validation"), ("form", "lean")])
def test_a_split_or_form_that_is_not_the_records_is_found(corpus, key, value):
    edit(corpus, lambda manifest: manifest["config"].update({key: value}))
    assert verify_corpus(corpus)["problems"] == [f"90 records have another {key} than {value}, which the manifest says"]


def test_a_corpus_with_a_task_s_old_name_is_sound(tmp_path):
    generate_corpus(CorpusConfig({"fizz_buzz": [2, 3]}, samples=10, num_shards=2), tmp_path)
    for file in tmp_path.glob("*.jsonl"):
        file.write_text(file.read_text().replace("fizz_buzz", "lc_412"))
    manifest = json.loads((tmp_path / "manifest.json").read_text().replace("fizz_buzz", "lc_412"))
    for file in tmp_path.glob("*.jsonl"):
        manifest["files"][file.name] = {"bytes": file.stat().st_size, "sha256": sha256_file(file)}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert verify_corpus(tmp_path) == {"records": 20, "rederived": 20, "problems": []}


def test_answers_are_compared_with_the_reference(corpus, monkeypatch):
    broken = {name: replace(load_task(name), reference=lambda *arguments: "7") for name in ("coin_flip", "add_int")}
    monkeypatch.setattr(verify, "load_task", broken.__getitem__)
    problems = verify_corpus(corpus)["problems"]
    assert any("the rule answers" in problem and "the reference '7'" in problem for problem in problems)


def test_no_corpus(tmp_path):
    done = run_python("data_prep/verify.py", "--input", tmp_path, check=False)
    assert done.returncode == 2
    assert "no such file" in done.stderr
