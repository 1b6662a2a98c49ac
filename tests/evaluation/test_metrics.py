"""Metrics against values worked out by hand, and against the equations that define them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.evaluation.metrics import (
    Z_95,
    max_length_all,
    max_length_any,
    score_cell,
    summarize_run,
    summarize_task,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (5, 10, 0.236593, 0.763407), (90, 100, 0.825634, 0.944771)],
)
def test_wilson_interval_by_hand(correct, n, low, high):
    # For 0 of n the upper end is z^2 / (n + z^2) = 3.841459 / 13.841459.
    assert wilson_interval(correct, n) == pytest.approx((low, high), abs=2e-6)


@given(n=st.integers(1, 2000), share=st.floats(0, 1))
def test_wilson_ends_solve_the_score_equation(n, share):
    correct = round(share * n)
    proportion = correct / n
    low, high = wilson_interval(correct, n)
    assert 0 <= low <= proportion <= high <= 1
    for end in (low, high):
        assert abs(proportion - end) == pytest.approx(Z_95 * math.sqrt(end * (1 - end) / n), abs=1e-9)


@given(n=st.integers(1, 300), correct=st.integers(0, 300))
def test_wilson_is_symmetric_and_narrows(n, correct):
    correct = min(correct, n)
    low, high = wilson_interval(correct, n)
    assert wilson_interval(n - correct, n) == pytest.approx((1 - high, 1 - low))
    narrow = wilson_interval(4 * correct, 4 * n)
    assert narrow[1] - narrow[0] < high - low


def test_nothing_measured_is_nothing_known():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def records(correct: int, wrong: int, token_limit: int) -> list[dict]:
    outcomes = ["correct"] * correct + ["wrong"] * wrong + ["token_limit"] * token_limit
    return [{"outcome": o, "num_tokens": 50 if o == "token_limit" else 10, "capped": False} for o in outcomes]


def test_token_limit_is_counted_apart_and_is_not_correct():
    cell = score_cell(records(correct=6, wrong=1, token_limit=3))
    assert (cell["n"], cell["correct"], cell["wrong"], cell["token_limit"]) == (10, 6, 1, 3)
    assert cell["accuracy"] == 0.6
    assert cell["mean_tokens"] == 22.0


def test_both_readings_of_max_len():
    accuracies = {2: 1.0, 4: 0.9, 6: 0.89, 8: 0.95, 10: 0.2}
    assert max_length_any(accuracies) == 8
    assert max_length_all(accuracies) == 4
    assert max_length_any({2: 0.5}) == max_length_all({2: 0.5}) == 0


@given(st.dictionaries(st.integers(1, 60), st.floats(0, 1), min_size=1))
def test_max_len_readings_agree_with_their_definitions(accuracies):
    strict, loose = max_length_all(accuracies), max_length_any(accuracies)
    assert strict <= loose
    assert all(accuracy < 0.9 for length, accuracy in accuracies.items() if length > loose)
    assert all(accuracy >= 0.9 for length, accuracy in accuracies.items() if length <= strict)


def test_summaries():
    first = summarize_task({2: score_cell(records(10, 0, 0)), 4: score_cell(records(5, 2, 3))})
    assert first == {
        "max_len_90_any": 2,
        "max_len_90_all": 2,
        "longest_length": 4,
        "accuracy_at_longest": 0.5,
        "correct": 15,
        "wrong": 2,
        "token_limit": 3,
    }
    second = summarize_task({2: score_cell(records(0, 10, 0)), 4: score_cell(records(9, 1, 0))})
    assert summarize_run({"a": first, "b": second}) == {
        "max_len_90_any": 3.0,
        "max_len_90_all": 1.0,
        "accuracy_at_longest": 0.7,
    }
