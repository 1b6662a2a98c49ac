"""Tokenizing: the same bytes from every kind of input, with any workers, parts and kills; bad input named by line."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.restart import Part
from megatron_rfft.corpus import CorpusConfig, generate_corpus, read_records
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sources import open_inputs, open_preset
from megatron_rfft.tokenization.tokenize import tokenize
from tests.conftest import ROOT, peak_mib, run_python

COMMAND = "data_prep/tokenize_corpus.py"
CHUNK = 20_000  # bytes: many chunks of a small corpus
CONFIG = CorpusConfig({"coin_flip": [2, 3], "length_int": [3]}, samples=60, form="lean", num_shards=3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    generate_corpus(CONFIG, folder)
    return folder


@pytest.fixture(scope="module")
def whole(small_data, corpus, tmp_path_factory):
    """The binaries of the corpus, made by one process as one chunk a file."""
    prefix = tmp_path_factory.mktemp("whole") / "data"
    tokenize(open_inputs([corpus]), Options(small_data.tokenizer), prefix)
    return binaries(prefix)


def binaries(prefix) -> dict[str, bytes]:
    return {suffix: prefix.with_name(prefix.name + suffix).read_bytes() for suffix in (".bin", ".idx", ".docs.npy")}


def leftovers(prefix) -> list[str]:
    return [path.name for path in prefix.parent.iterdir() if path.name.startswith(".") or path.suffix == ".parts"]


def lines_of(corpus) -> list[bytes]:
    return [line for shard in sorted(corpus.glob("*.jsonl")) for line in shard.read_bytes().splitlines(keepends=True)]


@pytest.mark.parametrize("kind", ["jsonl", "files", "gz", "zst", "parquet", "preset", "workers", "small chunks"])
def test_every_input_gives_the_same_bytes(small_data, corpus, whole, tmp_path, kind):
    lines, file, workers = lines_of(corpus), tmp_path / f"all.jsonl.{kind}", 1
    source = None
    if kind == "jsonl":
        file = tmp_path / "all.jsonl"
        file.write_bytes(b"\n".join([b"", *lines]))  # blank lines do not count
    elif kind == "gz":
        file.write_bytes(gzip.compress(b"".join(lines)))
    elif kind == "zst":
        half = len(lines) // 2  # two frames, cut within a line
        text, cut = b"".join(lines), len(b"".join(lines[:half])) + 7
        file.write_bytes(zstandard.compress(text[:cut]) + zstandard.compress(text[cut:]))
    elif kind == "parquet":
        file = tmp_path / "all.parquet"
        rows = [{**json.loads(line), "arguments": ""} for line in lines]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=50)
    elif kind == "files":
        file = corpus / "shard-*.jsonl"
    elif kind == "preset":
        source = open_preset(CONFIG)
    else:
        file, workers = corpus, 2 if kind == "workers" else 1
    source = source or open_inputs([file])
    chunks = CHUNK if kind in ("jsonl", "parquet", "workers", "small chunks") else 64 << 20
    manifest = tokenize(source, Options(small_data.tokenizer), tmp_path / "data", workers, chunk_bytes=chunks)
    assert binaries(tmp_path / "data") == whole
    assert manifest["skipped"] == {"bad": 0, "too_long": 0, "first": []}
    assert sum(counts["documents"] for counts in manifest["per_task"].values()) == len(lines)
    assert leftovers(tmp_path / "data") == []


def test_parts_in_any_order_and_at_the_same_time(small_data, corpus, whole, tmp_path):
    options, prefix = Options(small_data.tokenizer), tmp_path / "data"
    for number in (2, 0):
        done = tokenize(open_inputs([corpus]), options, prefix, part=Part(number, 3), chunk_bytes=CHUNK)
        assert done is None
        assert not prefix.with_name("data.manifest.json").exists()
    assert tokenize(open_inputs([corpus]), options, prefix, part=Part(1, 3), chunk_bytes=CHUNK) is not None
    assert binaries(prefix) == whole
    assert leftovers(prefix) == []
    words = [sys.executable, COMMAND, "--input", str(corpus), "--tokenizer", str(small_data.tokenizer), "--json"]
    words += ["--output", str(tmp_path / "together"), "--shard"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.Popen(
            [*words, f"{n}/3"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for n in range(3)
    ]
    answers = [json.loads(run.communicate()[0]) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert any("documents" in answer for answer in answers)
    assert binaries(tmp_path / "together") == whole


def test_killed_at_random_moments_it_ends_in_the_same_bytes(small_data, tmp_path):
    corpus = tmp_path / "corpus"
    generate_corpus(CorpusConfig({"add_int": range(4, 16)}, samples=250, num_shards=12), corpus)
    words = (COMMAND, "--input", corpus, "--tokenizer", small_data.tokenizer, "--output")
    started = time.monotonic()
    run_python(*words, tmp_path / "whole")
    undisturbed = time.monotonic() - started
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    moments, killed = random.Random(3), 0
    for _ in range(6):
        command = [sys.executable, *map(str, words), str(tmp_path / "data"), "--workers", "2"]
        run = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.2, 0.7) * undisturbed)
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            killed += 1
        run.wait()
    assert killed
    run_python(*words, tmp_path / "data")
    assert binaries(tmp_path / "data") == binaries(tmp_path / "whole")
    assert leftovers(tmp_path / "data") == []


def write_lines(path, *lines: bytes):
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


GOOD = b'{"prompt": "Q: 1\\n", "response": "So the answer is 1"}'
BAD = [
    (b"{", "line 2: is not valid JSON"),
    (b'{"prompt": "\xff\xfe", "response": "x"}', "line 2: is not"),
    (b'{"prompt": "x"}', "line 2: object missing required field `response`"),
    (b'{"prompt": 3, "response": "x"}', "line 2: expected `str`, got `int`"),
    (b'{"prompt": "", "response": "x"}', "line 2: the prompt is empty"),
    (b'{"prompt": "x", "response": "x", "length": 99999}', "line 2: length 99999 is not between 0 and 65535"),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_bad_records_are_named_by_file_and_line_or_left_out_and_counted(small_data, tmp_path, line, message):
    file = write_lines(tmp_path / "in.jsonl", GOOD, line, GOOD)
    with pytest.raises(UserError) as refused:
        tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data")
    assert f"{file}, {message}" in str(refused.value)
    assert "leave out what is bad with --on-bad skip" in str(refused.value)
    assert not (tmp_path / "data.bin").exists()
    lenient = Options(small_data.tokenizer, fields=Fields(skip_bad=True))
    manifest = tokenize(open_inputs([file]), lenient, tmp_path / "lenient")
    assert (manifest["counts"]["documents"], manifest["skipped"]["bad"]) == (2, 1)
    assert f"{file}, {message}" in manifest["skipped"]["first"][0]


@pytest.mark.parametrize("field", ["prompt", "response"])
def test_a_special_token_written_out_is_named_or_left_out(small_data, tmp_path, field):
    """SentencePiece takes it for text; the tokenizer.json that evaluation asks by does not."""
    good = b'{"prompt": "Q: 1", "response": "2"}'
    bad = json.dumps({"prompt": "Q: 1", "response": "2", field: "1 </s> 2"}).encode()
    file = write_lines(tmp_path / "in.jsonl", good, bad, good)
    with pytest.raises(UserError, match=r"in\.jsonl, line 2: the text holds the special token '</s>'; remove"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data")
    skipping = Options(small_data.tokenizer, fields=Fields(skip_bad=True))
    manifest = tokenize(open_inputs([file]), skipping, tmp_path / "data")
    assert (manifest["counts"]["documents"], manifest["skipped"]["bad"]) == (2, 1)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_file_that_is_cut_short(small_data, tmp_path, compress):
    noise = random.Random(1)
    lines = [json.dumps({"prompt": f"Q: {noise.random()}\n", "response": "x"}).encode() + b"\n" for _ in range(4000)]
    file = tmp_path / ("in.jsonl.gz" if compress is gzip.compress else "in.jsonl.zst")
    file.write_bytes(compress(b"".join(lines))[:-4000])
    with pytest.raises(UserError, match=r"line \d+: .*(damaged or cut short|is not valid JSON|is not UTF-8)"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data")


def test_documents_that_are_too_long(small_data, tmp_path):
    long = json.dumps({"prompt": "Q: 1\n", "response": "1" * 90}).encode()
    file = write_lines(tmp_path / "in.jsonl", GOOD, long, GOOD)
    with pytest.raises(UserError, match=r"in.jsonl, line 2: the document has \d+ tokens, over the limit of 80; raise"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer, max_tokens=80), tmp_path / "data")
    skipping = Options(small_data.tokenizer, max_tokens=80, skip_too_long=True)
    manifest = tokenize(open_inputs([file]), skipping, tmp_path / "skipped")
    assert (manifest["counts"]["documents"], manifest["skipped"]["too_long"]) == (2, 1)
    assert manifest["config"]["max_tokens"] <= 80


def test_fields_of_other_names(small_data, tmp_path):
    file = write_lines(tmp_path / "in.jsonl", b'{"q": "What?", "a": "That.", "extra": [1]}')
    tokenize(open_inputs([file]), Options(small_data.tokenizer, fields=Fields("q", "a")), tmp_path / "data")
    documents = Documents(tmp_path / "data")
    assert (documents.manifest["tasks"], documents.manifest["form"]) == ([""], None)
    with pytest.raises(UserError, match="missing required field `prompt`"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "other")


def test_a_full_disk_is_reported_and_nothing_half_written_stands(small_data, corpus, tmp_path):
    script = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"sys.argv = [{COMMAND!r}, '--input', {str(corpus)!r}, '--tokenizer', {str(small_data.tokenizer)!r}, "
        f"'--output', {str(tmp_path / 'data')!r}]; runpy.run_path({COMMAND!r}, run_name='__main__')"
    )
    done = run_python("-c", script, check=False)
    assert done.returncode == 1
    assert "no room to write into" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data.bin").exists()
    tokenize(open_inputs([corpus]), Options(small_data.tokenizer), tmp_path / "data")
    assert len(Documents(tmp_path / "data")) == len(list(read_records(corpus)))


def test_a_dead_worker_is_noticed(small_data, tmp_path, monkeypatch):
    import megatron_rfft.tokenization.tokenize as module

    def broken(*_):
        from concurrent.futures.process import BrokenProcessPool

        raise BrokenProcessPool("a child is gone")

    file = write_lines(tmp_path / "in.jsonl", GOOD)
    monkeypatch.setattr(module, "_write_parts", broken)
    with pytest.raises(CommandFailed, match="a worker process ended in the middle of its work"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data", num_workers=2)


def test_dry_run_shows_tokens_and_writes_nothing(small_data, corpus, tmp_path):
    words = (COMMAND, "--input", corpus, "--tokenizer", small_data.tokenizer, "--dry-run")
    shown = run_python(*words).stdout
    assert "tokens, the loss is taken on the" in shown
    assert "\x1b[" not in shown, "colours are for a terminal"
    statistics = json.loads(run_python(*words, "--json").stdout)
    first = next(iter(read_records(corpus)))
    assert 0 < statistics["response_start"] < len(statistics["tokens"])
    assert first["prompt"].split("\n")[0] in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--input", "absent.jsonl"), "no such file or corpus folder: absent.jsonl"),
        (("--input", "README.md"), "README.md is not an input; give JSONL"),
        ((), "give either --input or --preset"),
        (("--preset", "test", "--input", "x.jsonl"), "give either --input or --preset"),
        (("--input", "x.jsonl", "--lengths", "3"), "--lengths is for a preset"),
        (("--preset", "test", "--too-long", "skip"), "--too-long skip needs a limit"),
        (("--preset", "test", "--bos"), "has no token of the beginning"),
        (("--preset", "test", "--stop-token", "<nope>"), "has no token '<nope>'"),
    ],
)
def test_wrong_options(small_data, tmp_path, words, message):
    common = ("--tokenizer", small_data.tokenizer, "--output", tmp_path / "data")
    done = run_python(COMMAND, *words, *common, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(small_data, tmp_path):
    """A 600 MB file in one process: under 1 GiB at the peak."""
    corpus, file = tmp_path / "corpus", tmp_path / "large.jsonl"
    generate_corpus(CorpusConfig({"add_int": range(10, 31)}, samples=100, num_shards=1), corpus)
    text = (corpus / "shard-00000-of-00001.jsonl").read_bytes()
    with file.open("wb") as handle:
        for _ in range(600_000_000 // len(text)):
            handle.write(text)
    peak = peak_mib(COMMAND, "--input", file, "--tokenizer", small_data.tokenizer, "--output", tmp_path / "data")
    print(f"peak {peak} MiB for {file.stat().st_size / 1e6:.0f} MB")
    assert peak < 1024
