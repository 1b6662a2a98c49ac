"""Layouts of an export: what a record of a corpus becomes for each kind of program that reads it.

============  =======================================================================================================
``records``   the record's own fields; TRL's GRPO takes them too, with prompts as plain text
``messages``  a conversation of two messages, for supervised training with TRL, LLaMA-Factory and ms-swift
``rl``        verl's columns, for reinforcement learning with verifiable rewards; TRL's GRPO takes them too
============  =======================================================================================================
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

Record = dict[str, Any]
COLUMNS = ("id", "task", "version", "split", "length", "index", "form", "prompt", "response", "answer", "arguments")
"""A record's fields; ``arguments`` as JSON text, since tasks differ in their types."""
PLACE = ("id", "task", "version", "split", "length", "index", "form")
"""Those that name an example: from them it can be made again."""
_NUMBERS = ("version", "length", "index")
_MADE_AGAIN = "name the example: from them it can be made again."


@dataclass(frozen=True)
class Layout:
    """How a record is written."""

    row: Callable[[Record], Record]
    schema: Callable[[], "pyarrow.Schema"]
    fields: str
    """What the card says of the columns."""
    has_jsonl: bool = False
    """Whether each Parquet file has a JSONL file of the same rows beside it."""


def _record(record: Record) -> Record:
    return {**record, "arguments": json.dumps(record["arguments"])}


def _messages(record: Record) -> Record:
    """Who is told what is what ``rfft tokenize --chat`` makes of the record."""
    said = [("user", record["prompt"]), ("assistant", record["response"])]
    messages = [{"role": role, "content": content} for role, content in said]
    return {"messages": messages, **{name: record[name] for name in ("id", "task", "length")}}


def _rl(record: Record) -> Record:
    """verl averages what it validates by ``data_source``, so that its log shows accuracy by task and length."""
    return {
        "data_source": f"{record['task']}/{record['length']}",
        "prompt": [{"role": "user", "content": record["prompt"]}],
        "ability": "rule-following",
        "reward_model": {"style": "rule", "ground_truth": record["answer"]},
        "extra_info": {name: record[name] for name in PLACE},
    }


def _typed(columns: tuple[str, ...]) -> list[tuple[str, "pyarrow.DataType"]]:
    import pyarrow

    return [(name, pyarrow.int64() if name in _NUMBERS else pyarrow.string()) for name in columns]


def _record_schema() -> "pyarrow.Schema":
    import pyarrow

    return pyarrow.schema(_typed(COLUMNS))


def _conversation() -> "pyarrow.DataType":
    import pyarrow

    return pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))


def _message_schema() -> "pyarrow.Schema":
    import pyarrow

    return pyarrow.schema([("messages", _conversation()), *_typed(("id", "task", "length"))])


def _rl_schema() -> "pyarrow.Schema":
    import pyarrow

    text = pyarrow.string()
    truth = pyarrow.struct([("style", text), ("ground_truth", text)])
    columns = [("data_source", text), ("prompt", _conversation()), ("ability", text), ("reward_model", truth)]
    return pyarrow.schema([*columns, ("extra_info", pyarrow.struct(_typed(PLACE)))])


LAYOUTS = {
    "records": Layout(
        _record,
        _record_schema,
        "`prompt` and `response` are what a model reads and writes; `answer` is the answer's Python literal; "
        "`arguments` (JSON) is what the rule was called with; `task`, `version`, `split`, `length`, `index` and `form` "
        f"{_MADE_AGAIN}",
    ),
    "messages": Layout(
        _messages,
        _message_schema,
        "`messages` is a conversation: the user's question with its rule, the assistant's trace and answer. `id` names "
        "the example, `task` and `length` say what it is. The JSONL files hold the same rows.",
        has_jsonl=True,
    ),
    "rl": Layout(
        _rl,
        _rl_schema,
        "The columns are verl's: `data_source` is task and length, `prompt` the user's message, "
        "`reward_model.ground_truth` the answer's Python literal. The fields of `extra_info` " + _MADE_AGAIN,
    ),
}
