"""Damaged input: what is lost is counted or the run refused, and what an error advises works."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restart import Part, Work
from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.data.documents import DatasetPaths
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sentencepiece_train import train_tokenizer
from megatron_rfft.tokenization.sources import open_inputs
from megatron_rfft.tokenization.tokenize import tokenize
from tests.conftest import run_python

LENIENT = Fields(skip_bad=True)


def test_one_bad_text_in_parquet_costs_one_record(small_data, tmp_path):
    prompts = [f"Q: {number}".encode() for number in range(1200)]
    prompts[700] = b"\xff\xfe"
    texts = pyarrow.array(prompts, pyarrow.binary()).view(pyarrow.string())
    table = pyarrow.table({"prompt": texts, "response": ["x"] * 1200})
    file = tmp_path / "in.parquet"
    pyarrow.parquet.write_table(table, file)
    with pytest.raises(UserError, match=r"in.parquet, row 701: is not UTF-8 \(.*leave out what is bad"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data")
    manifest = tokenize(open_inputs([file]), Options(small_data.tokenizer, fields=LENIENT), tmp_path / "lenient")
    assert (manifest["counts"]["documents"], manifest["skipped"]["bad"]) == (1199, 1)
    assert "row 701" in manifest["skipped"]["first"][0]


def lines(number: int) -> bytes:
    return b"".join(json.dumps({"prompt": f"Q: {n * n}", "response": "x"}).encode() + b"\n" for n in range(number))


@pytest.mark.parametrize("kind", ["flipped gz", "cut gz", "cut zst", "parquet"])
def test_a_damaged_container_is_never_skipped(small_data, tmp_path, kind):
    """With --on-bad skip too: nobody knows how many records are lost."""
    file = tmp_path / f"in.jsonl.{kind.split()[-1]}"
    if kind == "parquet":
        file = tmp_path / "in.parquet"
        rows = pyarrow.table({"prompt": [f"Q: {n * n}" for n in range(3000)], "response": ["x"] * 3000})
        pyarrow.parquet.write_table(rows, file, write_page_checksum=True, use_dictionary=False, compression="none")
        content = bytearray(file.read_bytes())
        content[len(content) // 3] ^= 1
    else:
        content = bytearray((zstandard if "zst" in kind else gzip).compress(lines(3000)))
        if "cut" in kind:
            del content[-300:]
        else:
            content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"(line|row) \d+: .*; restore the file$"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer, fields=LENIENT), tmp_path / "data")
    assert not (tmp_path / "data.bin").exists()


GOOD = b'{"prompt": "Q: 1", "response": "x"}\n'
DEEP = 100_000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b'{"prompt": "Q", "response": "x", "more": ' + b"[" * DEEP + b"]" * DEEP + b"}\n",
            "nested too deeply for JSON",
        ),
        (b'{"a": ' * DEEP + b"1" + b"}" * DEEP + b"\n", "nested too deeply for JSON"),
        (GOOD.decode().encode("utf-16"), "is UTF-16; save the file as UTF-8"),
        (b"[" + GOOD.strip() + b"]\n", "is a JSON array; write one object a line"),
    ],
)
def test_the_right_words_for_a_line_that_is_no_record(small_data, tmp_path, line, message):
    file = tmp_path / "in.jsonl"
    file.write_bytes(GOOD + line + (b"" if "UTF-16" in message else GOOD))
    with pytest.raises(UserError, match=rf"in.jsonl, line 2: is {message.removeprefix('is ')}; fix it, or leave out"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data")
    manifest = tokenize(open_inputs([file]), Options(small_data.tokenizer, fields=LENIENT), tmp_path / "data")
    assert manifest["counts"]["documents"] == (1 if "UTF-16" in message else 2)
    assert manifest["skipped"]["bad"] >= 1


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_the_mark_that_windows_puts_before_a_file_is_passed_over(small_data, tmp_path, compress):
    """Also where two such files were joined."""
    file = tmp_path / f"in.jsonl{'' if compress is bytes else '.gz'}"
    file.write_bytes(compress(b"\xef\xbb\xbf" + GOOD + GOOD + b"\xef\xbb\xbf" + GOOD))
    manifest = tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data")
    assert (manifest["counts"]["documents"], manifest["skipped"]["bad"]) == (3, 0)


@pytest.mark.parametrize("window_log", [28, 31])
def test_zst_files_with_long_windows_are_read(small_data, tmp_path, window_log):
    """zstd --long=31, in which large dumps are published."""
    settings = zstandard.ZstdCompressionParameters(window_log=window_log, hash_log=12, chain_log=12)
    stream = zstandard.ZstdCompressor(compression_params=settings).compressobj()  # of unknown size: the window counts
    file = tmp_path / "in.jsonl.zst"
    file.write_bytes(stream.compress(lines(100)) + stream.flush())
    manifest = tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data")
    assert manifest["counts"]["documents"] == 100


def test_a_shard_that_was_changed_is_not_tokenized(small_data, tmp_path):
    generate_corpus(CorpusConfig({"coin_flip": [2, 3]}, samples=20, form="lean", num_shards=2), tmp_path / "corpus")
    shard = sorted((tmp_path / "corpus").glob("*.jsonl"))[1]
    shard.write_bytes(shard.read_bytes().replace(b"coin", b"coim", 1))
    refused = pytest.raises(UserError, match=r"00001.* has another checksum .* generate the corpus again")
    with refused:
        open_inputs([tmp_path / "corpus"])
    with refused:  # nor is a vocabulary made of it
        train_tokenizer([tmp_path / "corpus"], 600, 1000, tmp_path / "tokenizer.model")
    assert not list(tmp_path.glob("*tokenizer*"))


def test_the_advice_of_an_error_works(small_data, tmp_path):
    """Each run fails and names an option or a mistake in the input; the next one does as it says."""
    file, prefix = tmp_path / "in.jsonl", tmp_path / "data"
    good, long = ({"prompt": "Q: 1", "response": "1" * length} for length in (1, 90))
    file.write_text(f"{json.dumps(good)}\n{{\n{json.dumps(long)}\n")
    words = ("data_prep/tokenize_corpus.py", "--input", file, "--tokenizer", small_data.tokenizer, "--output", prefix)
    failed = run_python(*words, "--max-tokens", 60, check=False)
    assert "line 2: is not valid JSON" in failed.stderr
    assert failed.stderr.rstrip().endswith("leave out what is bad with --on-bad skip")

    def again(**options):
        chosen = Options(small_data.tokenizer, **options)
        return tokenize(open_inputs([file]), chosen, prefix)["counts"]["documents"]

    with pytest.raises(UserError, match="leave such documents out with --too-long skip"):
        again(max_tokens=60, fields=LENIENT)
    file.write_text(f"{json.dumps(good)}\n{json.dumps(long)}\n")
    with pytest.raises(UserError, match="raise --max-tokens"):
        again(max_tokens=60)
    assert again(max_tokens=60, skip_too_long=True) == 1
    with pytest.raises(UserError, match="was begun with max_tokens 60, this run has 200"):
        again(max_tokens=200)


def test_parts_of_a_run_that_is_at_work_are_left_alone(small_data, tmp_path):
    source, prefix = open_inputs([small_data.corpus]), tmp_path / "data"
    assert tokenize(source, Options(small_data.tokenizer), prefix, part=Part(0, 2), chunk_bytes=20_000) is None
    parts = sorted(DatasetPaths(prefix).parts.iterdir())
    other = Options(small_data.tokenizer, max_tokens=900)
    at_work = Work(prefix, notes=DatasetPaths(prefix).parts, files=DatasetPaths(prefix).parts, part=Part(2, 3))
    with (
        at_work.held(),
        pytest.raises(UserError, match=r"another run is writing .* with max_tokens None"),
    ):
        tokenize(source, other, prefix, part=Part(1, 2), chunk_bytes=20_000)
    assert sorted(DatasetPaths(prefix).parts.iterdir()) == parts
    assert tokenize(source, other, prefix, chunk_bytes=20_000)["inputs"]["max_tokens"] == 900
