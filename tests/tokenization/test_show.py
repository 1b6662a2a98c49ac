"""data_prep/show.py as a process: what it says is what the corpus holds; wrong input ends in one line and code 2."""

import json
import os
import pty
import subprocess
import sys

import pytest

from megatron_rfft.corpus import read_records
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.conftest import ROOT, run_python


def show(prefix, *arguments) -> str:
    return run_python("data_prep/show.py", "--input", prefix, *arguments).stdout


def show_json(prefix, *arguments) -> dict:
    return json.loads(show(prefix, "--json", *arguments))


def test_documents_are_those_of_the_corpus(small_data):
    records = list(read_records(small_data.corpus))
    stop = load_tokenizer(small_data.tokenizer).stop_id
    shown = show_json(small_data.prefix, "--index", f"0,{len(records) - 1},7")["shown"]
    assert [document["index"] for document in shown] == [0, len(records) - 1, 7]
    for document in shown:
        record = records[document["index"]]
        assert all(document[key] == record[key] for key in ("prompt", "response", "task", "length"))
        assert document["tokens"][-1] == stop


def test_documents_are_chosen_by_task_and_length(small_data):
    shown = show_json(small_data.prefix, "--task", "length_int", "--length", 3, "--count", 4)["shown"]
    assert [(document["task"], document["length"]) for document in shown] == [("length_int", 3)] * 4


def test_statistics_add_up(small_data):
    documents = Documents(small_data.prefix)
    result = show_json(small_data.prefix, "--statistics", "--count", 0)
    assert result["shown"] == []
    rows = result["statistics"]
    assert {(row["task"], row["length"]) for row in rows} == {
        *(("coin_flip", length) for length in (1, 2, 3, 4)),
        *(("length_int", length) for length in (2, 3, 4)),
    }
    for key in ("documents", "tokens", "target_tokens"):
        assert sum(row[key] for row in rows) == result[key] == documents.manifest["counts"][key]
    assert max(row["longest"] for row in rows) == result["longest"] == documents.lengths.max()
    chosen = [i for i, record in enumerate(read_records(small_data.corpus)) if record["length"] == 4]
    coin, length_int = (
        next(row["longest"] for row in rows if row["task"] == task and row["length"] == 4)
        for task in ("coin_flip", "length_int")
    )
    assert max(coin, length_int) == documents.lengths[chosen].max()


def test_packing_is_that_of_training(small_data):
    from megatron_rfft.data.dataset import PackedDataset

    dataset = PackedDataset([small_data.prefix], 512, seed=5)
    packing = show_json(small_data.prefix, "--sequence-length", 512, "--seed", 5)["packing"]
    assert packing["sequences"] == dataset.epoch_length
    assert packing["fill"] == round(dataset.lengths.sum() / (512 * dataset.epoch_length), 4)
    assert packing["documents_per_sequence"]["most"] == max(map(len, dataset.packing(0)))


def test_text_marks_the_loss_span_with_brackets_and_lists_tokens(small_data):
    record = next(iter(read_records(small_data.corpus)))
    text = show(small_data.prefix, "--index", 0, "--tokens", "--statistics", "--sequence-length", 512)
    assert f"{record['prompt']}⟦{record['response']}⟧" in text
    assert "\x1b[" not in text
    assert "% full" in text
    marks = [line.split()[2] == "*" for line in text.split("loss text\n")[1].splitlines()]
    start = int(Documents(small_data.prefix).rows["response_start"][0])
    assert marks == [position >= start for position in range(len(marks))]


def test_a_terminal_gets_the_loss_span_in_colour(small_data):
    record = next(iter(read_records(small_data.corpus)))
    master, terminal = pty.openpty()
    command = [sys.executable, "data_prep/show.py", "--input", str(small_data.prefix), "--index", "0"]
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=terminal) as process:
        os.close(terminal)
        text = b""
        while part := _read(master):
            text += part
    os.close(master)
    assert process.returncode == 0
    shown = text.decode().replace("\r\n", "\n")
    assert f"\x1b[32m{record['response']}\x1b[0m" in shown
    assert "⟦" not in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "coin_flop"], "task 'coin_flop' is not in the data set; it has coin_flip, length_int"),
        (["--task", "length_int", "--length", "1"], "length 1 is not in the data set; it has 2, 3, 4"),
        (["--task", "length_int:2-5"], "length 5 is not in the data set; it has 2, 3, 4"),
        (["--task", "length_int:2", "--length", "2"], "--task length_int:2 has lengths; leave out --length"),
        (["--index", "3,420"], "document 420 is not there; give numbers from 0 to 419"),
        (["--index", "a"], "'a' are not numbers; write for example 0,17"),
        (["--sequence-length", "20"], "more than --sequence-length 20; raise it to "),
        (["--count", "-1"], "--count is -1; give 0 or more"),
        (["--input", "/nowhere/data"], "no such file: /nowhere/data.manifest.json"),
    ],
)
def test_wrong_input_is_named(small_data, arguments, message):
    done = run_python("data_prep/show.py", "--input", small_data.prefix, *arguments, check=False)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_help_has_an_example():
    assert "example:\n  rfft show --input" in run_python("data_prep/show.py", "--help").stdout
