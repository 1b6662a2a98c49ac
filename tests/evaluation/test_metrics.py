"""Metrics against values worked out by hand, and against the equations that define them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.evaluation.metrics import (
    T_95,
    Z_95,
    max_length_all,
    max_length_any,
    score_cell,
    seeds_interval,
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


def test_the_interval_of_seeds():
    assert seeds_interval([0.75], 20) == wilson_interval(15, 20)
    assert seeds_interval([1.0, 1.0, 1.0], 20) == wilson_interval(20, 20)
    assert seeds_interval([0.0, 0.0], 20)[0] == 0.0
    # By hand: mean 0.75, variance of the mean 0.0625 / 3, widened by (4.3027 / 1.96)^2: 1.8674 effective questions.
    assert seeds_interval([0.5, 0.75, 1.0], 20) == pytest.approx(wilson_interval(0.75 * 1.86743, 1.86743), abs=1e-4)
    assert seeds_interval([0.5, 0.75, 1.0], 20) == seeds_interval([0.5, 0.75, 1.0], 2000)  # seeds decide, not questions


def test_students_quantiles_are_right():
    stats = pytest.importorskip("scipy.stats")
    assert list(T_95) == pytest.approx([stats.t.ppf(0.975, df) for df in range(1, len(T_95) + 1)], abs=1e-4)


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("mean", [0.3, 0.9])
def test_the_interval_of_three_seeds_covers_the_true_mean(mean, spread):
    """Each seed's model has an accuracy of its own, around ``mean``; the share of intervals that hold the mean."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        own = np.clip(mean + spread * mean * (1 - mean) * random.uniform(-1.7, 1.7, size=3), 0, 1)
        low, high = seeds_interval(list(random.binomial(50, own) / 50), 50)
        covered += low <= mean <= high
    assert covered / 400 >= 0.93
