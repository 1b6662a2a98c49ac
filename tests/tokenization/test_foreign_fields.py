"""Input of others: a field called as one of a corpus is renamed or left out of account, and errors say how."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sources import open_inputs
from megatron_rfft.tokenization.tokenize import tokenize
from megatron_rfft.tokenization.verify import verify_dataset
from tests.conftest import run_python

FOREIGN = {
    "a word as length": ({"length": "short"}, "length", r"expected `int \| null`, got `str` at field `length`"),
    "half a length": ({"length": 12.5}, "length", "at field `length`"),
    "a negative length": ({"length": -1}, "length", "length -1 is not between 0 and"),
    "a list of tasks": ({"task": ["math", "code"]}, "task", r"got `array` at field `task`"),
    "a number as form": ({"form": 3}, "form", "at field `form`"),
}


def write(folder, kind: str, extra: dict):
    records = [{"prompt": f"Q: {number}", "response": "x", **extra} for number in range(3)]
    if kind == "jsonl":
        (folder / "in.jsonl").write_text("\n".join(map(json.dumps, records)))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), folder / "in.parquet")
    return folder / f"in.{kind}"


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(("extra", "key", "message"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_field_is_named_and_can_be_switched_off(small_data, tmp_path, kind, extra, key, message):
    file = write(tmp_path, kind, extra)
    with pytest.raises(UserError, match=f"{message}.*or none with --{key}-field ''"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer), tmp_path / "data")
    without = Options(small_data.tokenizer, fields=Fields(**{f"{key}_field": ""}))
    manifest = tokenize(open_inputs([file]), without, tmp_path / "data")
    assert manifest["counts"]["documents"] == 3
    assert manifest["inputs"]["fields"][f"{key}_field"] == ""
    assert (manifest["tasks"], manifest["form"]) == ([""], None)
    found = verify_dataset(tmp_path / "data", source=open_inputs([file]), tokenizer=small_data.tokenizer)
    assert (found["rederived"], found["problems"]) == (3, [])


def test_fields_are_renamed_from_the_command_line(small_data, tmp_path):
    file = write(tmp_path, "jsonl", {"length": "short", "digits": 7, "task": ["a"], "kind": "sum"})
    words = ("--tokenizer", small_data.tokenizer, "--output", tmp_path / "data")
    renamed = ("--length-field", "digits", "--task-field", "kind")
    run_python("data_prep/tokenize_corpus.py", "--input", file, *words, *renamed)
    documents = Documents(tmp_path / "data")
    assert documents.manifest["tasks"] == ["sum"]
    assert documents.rows["length"].tolist() == [7, 7, 7]
    wrong = run_python("data_prep/tokenize_corpus.py", "--preset", "rf-pretrain", *words, *renamed, check=False)
    assert wrong.returncode == 2
    assert "a preset's records have fields of their own" in wrong.stderr.splitlines()[-1]


def test_a_parquet_column_that_is_named_and_not_there_is_an_error(small_data, tmp_path):
    file = write(tmp_path, "parquet", {"digits": 7})
    fields = Fields(length_field="digit")
    with pytest.raises(UserError, match="has no column 'digit' but prompt, response, digits; correct --length-field"):
        tokenize(open_inputs([file]), Options(small_data.tokenizer, fields=fields), tmp_path / "data")
