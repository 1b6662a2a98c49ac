"""The project's own vocabularies: what is one piece, and that nothing is lost."""

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.tasks import load_task
from megatron_rfft.tokenization.sentencepiece_train import (
    answered_numbers,
    numbered_statements,
    shown_numbers,
    train_sentencepiece,
)

TASKS = ("length_int", "move_zeroes", "get_digit_int", "coin_flip")


def records() -> list[dict]:
    examples = [load_task(name).example(4, "train", at, "lean") for name in TASKS for at in range(40)]
    return [{"prompt": example.prompt, "response": example.response} for example in examples]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    output = tmp_path_factory.mktemp("vocabulary") / "tokenizer.model"
    texts = [record[key] for record in records() for key in ("prompt", "response")]
    train_sentencepiece(iter(texts), 700, output, numbered_statements(records(), limit=40) + shown_numbers(records()))
    return sentencepiece.SentencePieceProcessor(model_file=str(output))


def test_statements_with_numbers_are_found_and_values_are_not():
    found = numbered_statements(records(), limit=40)
    assert {"num = num[1:]\n", "result += 1\n", "num = nums.pop(0)\n", "if num == 0:\n"} <= set(found)
    assert not {"result = 0\n", "num_zeroes = 0\n", "flips = 0\n"} & set(found)
    assert len(numbered_statements(records(), limit=2)) == 2


def test_a_statement_is_one_piece_and_a_value_single_digits(vocabulary):
    pieces = vocabulary.encode("        num = nums.pop(0)\nnow, result = [42, 0]\n", out_type=str)
    text = [piece.replace("▁", " ") for piece in pieces]
    assert text[:2] == [" " * 8, "num = nums.pop(0)\n"]
    assert [piece for piece in text[2:] if any(map(str.isdigit, piece))] == ["4", "2", "0"]


def test_small_numbers_that_are_values_are_found_by_how_often_they_are_shown():
    shown = [{"response": f"count = {count % 3}\nnow, num = '7'\nat = 250\nwhile count < 5:\n"} for count in range(9)]
    rare = {"response": "count = 12\n"}
    assert shown_numbers([*shown, rare], share=0.2) == [" 0\n", " 1\n", " 2\n"]
    assert shown_numbers([*shown, rare], share=0.1) == [" 0\n", " 1\n", " 2\n", " 12\n"]


def test_answers_of_two_digits_are_found_where_no_other_answer_begins_so():
    answers = ["12", "12", "13", "131", "14.5", "7", "'15'", "16"]
    found = [{"response": f"return n\nSo the answer is {answer}"} for answer in answers]
    assert answered_numbers(found, share=0.1) == ["So the answer is 12", "So the answer is 16"]
    assert answered_numbers(found, share=0.2) == ["So the answer is 12"]


def test_a_small_value_is_one_piece_and_a_string_of_digits_single_ones(vocabulary):
    pieces = vocabulary.encode("count = 2\nnow, num = '203'\nat 2 of 3", out_type=str)
    digits = [piece for piece in pieces if any(map(str.isdigit, piece))]
    assert digits == ["▁2\n", "2", "0", "3", "2", "3"]


def test_names_with_digits_are_one_piece_with_what_stands_before_their_value():
    lines = "num1 = num1[1:]\nnow, num1 = '7'\n"
    record = {"prompt": "def f(num1):\n    num1 = num1[1:]\n", "response": lines}
    assert numbered_statements([record], limit=9) == ["now, num1 = '", "num1 = num1[1:]\n"]


@given(st.text(st.characters(exclude_characters="▁", codec="utf-8")))  # the sign by which the library writes a space
def test_every_text_comes_back(vocabulary, text):
    assert vocabulary.decode(vocabulary.encode(text)) == text
