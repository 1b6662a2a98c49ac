"""Prompts in a chat template: the same ids in training and evaluation, the boundary where the answer begins."""

import numpy as np
import pytest
from transformers import AutoTokenizer

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import read_records
from megatron_rfft.data.documents import Documents
from megatron_rfft.evaluation.questions import prepare_questions
from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from megatron_rfft.tokenization.tokenizers import load_tokenizer
from tests.tokenization.chat import TEMPLATE, chat_folder_of


@pytest.fixture(scope="module")
def chat_folder(small_data, tmp_path_factory):
    """The small vocabulary as an HF folder of a chat model."""
    return chat_folder_of(small_data.tokenizer, tmp_path_factory.mktemp("chat"))


def test_a_document_is_template_response_and_stop(small_data, chat_folder, tmp_path):
    manifest = tokenize_corpus(small_data.corpus, chat_folder, tmp_path / "chat", chat=True)
    assert manifest["chat"] is True
    documents, tokenizer = Documents(tmp_path / "chat"), load_tokenizer(chat_folder)
    start, end = (tokenizer.encode(token) for token in ("<|im_start|>", "<|im_end|>"))
    assert len(start) == len(end) == 1
    assert end == [tokenizer.stop_id]
    for index, record in zip(range(5), read_records(small_data.corpus), strict=False):
        ids, boundary = documents.tokens[index], int(documents.rows["response_start"][index])
        expected = f"<|im_start|>user\n{record['prompt']}<|im_end|>\n<|im_start|>assistant\n"
        assert tokenizer.decode(ids[:boundary].tolist()) == expected
        assert tokenizer.decode(ids[boundary:-1].tolist()) == record["response"]
        assert [ids[0], ids[-1]] == [*start, *end]


def test_evaluation_asks_with_the_ids_of_training(small_data, chat_folder, tmp_path):
    tokenize_corpus(small_data.corpus, chat_folder, tmp_path / "chat", chat=True)
    documents, tokenizer = Documents(tmp_path / "chat"), load_tokenizer(chat_folder)
    record = next(iter(read_records(small_data.corpus)))
    example = load_task(record["task"]).example(record["length"], record["split"], record["index"], record["form"])
    (question,) = prepare_questions([example], tokenizer, 4096, chat=True)
    boundary = int(documents.rows["response_start"][0])
    assert np.array_equal(question.request.prompt_ids, documents.tokens[0][:boundary])
    (plain,) = prepare_questions([example], tokenizer, 4096)
    assert len(plain.request.prompt_ids) < boundary


def test_a_tokenizer_without_a_template_is_refused(small_data, tmp_path):
    with pytest.raises(UserError, match="has no chat template; leave --chat out"):
        tokenize_corpus(small_data.corpus, small_data.tokenizer, tmp_path / "chat", chat=True)
    exported = tmp_path / "plain"
    exported.mkdir()
    load_tokenizer(small_data.tokenizer).save_pretrained(exported)
    with pytest.raises(UserError, match="has no chat template"):
        load_tokenizer(exported).chat_prompt("hello")


CLOCK = "{{ strftime_now(\"%d %b %Y\") if strftime_now is defined else 'never' }}\n" + TEMPLATE


def test_a_template_that_writes_the_date_writes_one_for_ever(small_data, tmp_path):
    """In training, in the tokenizer that a model is given, and so in whatever evaluates it."""
    (tmp_path / "clock").mkdir()
    folder = chat_folder_of(small_data.tokenizer, tmp_path / "clock", CLOCK)
    manifest = tokenize_corpus(small_data.corpus, folder, tmp_path / "data", chat=True)
    assert manifest["inputs"]["chat_date"] == "2024-07-26"
    documents = Documents(tmp_path / "data")
    shipped = load_tokenizer(documents.paths.tokenizer)
    prompt = shipped.decode(documents.tokens[0][: documents.rows["response_start"][0]].tolist())
    assert prompt.startswith("26 Jul 2024\n<|im_start|>user")
    theirs = AutoTokenizer.from_pretrained(documents.paths.tokenizer)
    messages = [{"role": "user", "content": "hello"}]
    expected = "26 Jul 2024\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    assert theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == expected
    assert shipped.chat_prompt("hello") == load_tokenizer(folder).chat_prompt("hello") == expected
    (tmp_path / "computed").mkdir()
    computed = chat_folder_of(small_data.tokenizer, tmp_path / "computed", "{{ strftime_now(form) }}" + TEMPLATE)
    with pytest.raises(UserError, match="asks for today's date in a form that is computed"):
        load_tokenizer(computed).chat_prompt("hello")
