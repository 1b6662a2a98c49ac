"""Conversations: the last message is learned, what is before it is the prompt, as the chat template writes it."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from transformers import AutoTokenizer

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.data.documents import Documents
from megatron_rfft.tokenization.options import Options
from megatron_rfft.tokenization.records import Fields
from megatron_rfft.tokenization.sources import open_inputs
from megatron_rfft.tokenization.tokenize import tokenize, tokenize_corpus
from megatron_rfft.tokenization.verify import verify_dataset
from tests.conftest import run_python
from tests.tokenization.chat import chat_folder_of

SYSTEM = {"role": "system", "content": "Be brief."}
USER, ANSWER = {"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "It is 5."}
CONVERSATIONS = [
    [USER, ANSWER],
    [SYSTEM, USER, ANSWER],
    [USER, ANSWER, {"role": "user", "content": "And 4?"}, {"role": "assistant", "content": "9"}],
]
CONVERSATION = Fields(messages="messages")


@pytest.fixture(scope="module")
def chat_folder(small_data, tmp_path_factory):
    return chat_folder_of(small_data.tokenizer, tmp_path_factory.mktemp("chat"))


def write(path, conversations, **more):
    lines = [json.dumps({"messages": messages, **more}) for messages in conversations]
    text = "".join(f"{line}\n" for line in lines).encode()
    if path.suffix == ".parquet":
        rows = [json.loads(line) for line in lines]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_bytes({".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)(text))
    return path


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.parquet"])
def test_a_conversation_is_what_the_template_makes_of_it(chat_folder, tmp_path, name):
    file = write(tmp_path / name, CONVERSATIONS)
    manifest = tokenize(open_inputs([file]), Options(chat_folder, chat=True, fields=CONVERSATION), tmp_path / "data")
    assert (manifest["tasks"], manifest["form"], manifest["chat"]) == (["general"], None, True)
    documents, reference = Documents(tmp_path / "data"), AutoTokenizer.from_pretrained(chat_folder)
    for number, messages in enumerate(CONVERSATIONS):
        whole = reference.apply_chat_template(messages, return_dict=False)
        given = reference.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False)
        ids, start = documents.tokens[number].tolist(), int(documents.rows["response_start"][number])
        assert ids[:start] == given
        assert ids == whole[: len(ids)], "up to the stop token; the template adds a line break"
        assert reference.decode(ids[start:]) == messages[-1]["content"] + "<|im_end|>"
    assert verify_dataset(tmp_path / "data", open_inputs([file]), chat_folder)["problems"] == []


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([USER], "ends with user, not with the assistant"),
        ([], "ends with nothing"),
        ([SYSTEM, ANSWER], "has no message of the user"),
        ([USER, {"role": "tool", "content": "5"}, ANSWER], r"'tool'.*field `messages\[1\].role`"),
        (
            [USER, {"role": "assistant", "content": None}],
            r"expected `str`, got `null` at field `messages\[1\].content`",
        ),
        ([USER, {**ANSWER, "tool_calls": [{"name": "add"}]}], "has tool calls"),
        ([USER, {"role": "assistant", "content": "5<|im_end|>6"}], "response holds the special token '<|im_end|>'"),
        ([{"role": "user", "content": "<|im_start|>"}, ANSWER], "user's message holds the special token"),
        ([{"role": "user", "content": "reject"}, ANSWER], "template does not take the conversation .no such thing."),
    ],
)
def test_a_conversation_that_cannot_be_used_is_named_or_counted(chat_folder, tmp_path, messages, message):
    file = write(tmp_path / "in.jsonl", [CONVERSATIONS[0], messages, CONVERSATIONS[1]])
    options = Options(chat_folder, chat=True, fields=CONVERSATION)
    with pytest.raises(UserError, match=rf"in.jsonl, line 2: .*{message.replace('|', '.')}"):
        tokenize(open_inputs([file]), options, tmp_path / "data")
    lenient = Options(chat_folder, chat=True, fields=Fields(messages="messages", skip_bad=True))
    manifest = tokenize(open_inputs([file]), lenient, tmp_path / "lenient")
    assert (manifest["counts"]["documents"], manifest["skipped"]["bad"]) == (2, 1)
    assert "line 2" in manifest["skipped"]["first"][0]


def test_special_tokens_in_the_text_of_records_without_messages(chat_folder, tmp_path):
    """A prompt that is encoded as it stands may hold them: it may have been put into a template before."""
    file = tmp_path / "in.jsonl"
    records = [
        {"prompt": "<|im_start|>user\n1<|im_end|>\n", "response": "1"},
        {"prompt": "2", "response": "<|im_end|>"},
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    with pytest.raises(UserError, match=r"line 2: the response holds the special token '<.im_end.>'; remove it"):
        tokenize(open_inputs([file]), Options(chat_folder), tmp_path / "data")
    lenient = Options(chat_folder, fields=Fields(skip_bad=True))
    assert tokenize(open_inputs([file]), lenient, tmp_path / "lenient")["counts"]["documents"] == 1
    with pytest.raises(UserError, match="line 1: the user's message holds the special token"):
        tokenize(open_inputs([file]), Options(chat_folder, chat=True), tmp_path / "chat")


def test_the_command_names_the_task_and_losses_go_by_it(small_data, chat_folder, tmp_path):
    file = write(tmp_path / "gsm8k.jsonl", CONVERSATIONS)
    words = ("--input", file, "--messages", "--task-name", "gsm8k", "--tokenizer", chat_folder)
    run_python("data_prep/tokenize_corpus.py", *words, "--output", tmp_path / "gsm8k")
    tokenize_corpus(small_data.corpus, chat_folder, tmp_path / "rule", chat=True)
    dataset = PackedDataset([tmp_path / "rule", {str(tmp_path / "gsm8k"): 2.0}], 512, seed=1)
    assert ("gsm8k", 0) in dataset.cells
    assert {task for task, _ in dataset.cells} == {"coin_flip", "length_int", "gsm8k"}


def test_conversations_need_the_template_and_their_column(chat_folder, tmp_path):
    with pytest.raises(UserError, match="conversations go through the chat template; give --chat"):
        Options(chat_folder, fields=CONVERSATION)
    file = write(tmp_path / "x.parquet", CONVERSATIONS)
    options = Options(chat_folder, chat=True, fields=Fields(messages="turns"))
    with pytest.raises(UserError, match="has no column 'turns' but messages; name it with --messages"):
        tokenize(open_inputs([file]), options, tmp_path / "data")
