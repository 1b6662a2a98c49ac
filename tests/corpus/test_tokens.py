"""The estimate of tokens: counts that Qwen2.5's own tokenizer gave, which is too large to ship with the tests."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.corpus import tokens
from megatron_rfft.corpus.tokens import estimate_tokens
from megatron_rfft.tasks import load_task

# (task, length): tokens of prompt and response together, counted with the tokenizer.json of Qwen2.5.
COUNTED = {
    ("add_int", 10): 4351,
    ("coin_flip", 15): 4175,
    ("move_zeroes", 30): 12634,
    ("dyck_languages", 8): 2584,
    ("logic_bank", 5): 1225,
    ("goat_latin", 6): 1833,
    ("maximum_subarray", 20): 4554,
}


@pytest.mark.parametrize(("name", "length"), COUNTED)
def test_the_estimate_is_near(name, length):
    example = load_task(name).example(length, "train", 0)
    assert estimate_tokens(example.prompt + example.response) == pytest.approx(COUNTED[name, length], rel=0.2)


def test_small_texts():
    assert estimate_tokens("") == 0
    assert estimate_tokens("123") == 3
    assert estimate_tokens("while num:\n") == 3


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text("ab 1(=é\t\n\r\v", max_size=30))
def test_line_by_line_is_as_at_once(text):
    assert estimate_tokens(text) == len(tokens._PIECE.findall(text))
