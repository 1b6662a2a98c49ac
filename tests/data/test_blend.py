"""Blends: weights in all their forms, exact counts an epoch, and nothing lost or taken twice over epochs."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.blend import DataSource, check_weights, epoch_documents, parse_sources

A, B = DataSource("a"), DataSource("b", 0.5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", [A]),
        (["a"], [A]),
        (["a", {"b": 0.5}], [A, B]),
        ({"a": 1, "b": 0.5}, [A, B]),
        ({"path": "b", "weight": 0.5}, [B]),
        ([{"path": "a"}, {"path": "b", "weight": "5e-1"}], [A, B]),
        ([A, B], [A, B]),
        ([], []),
    ],
)
def test_every_form_of_a_blend_is_read(value, expected):
    assert parse_sources(value) == expected
    assert parse_sources([source.plain() for source in expected]) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "data.train holds 3; write a prefix, a list"),
        (None, "data.train holds None"),
        ([["a"], 1.5], "data.train holds 1.5"),
        ({"a": "often"}, "the weight of a is 'often'"),
        ({"a": True}, "the weight of a is True"),
        ({"a": [1]}, r"the weight of a is \[1\]"),
        ({"a": 0}, "the weight of a is 0.0; give a number above 0"),
        ({"a": -1}, "the weight of a is -1.0"),
        ({"a": float("nan")}, "the weight of a is nan"),
        ({"path": "a", "wieght": 2}, "has the key 'wieght' beside path and weight"),
    ],
)
def test_any_other_value_is_named(value, message):
    with pytest.raises(UserError, match=message):
        parse_sources(value)


def test_a_weight_that_takes_no_document_is_refused():
    with pytest.raises(UserError, match=r"0\.01 of a takes less than one of its 60 .* at least 1/60"):
        check_weights([DataSource("a", 0.01)], [60])
    check_weights([DataSource("a", 0.1)], [10])  # exactly one, though 0.1 is no float


def epochs(sources, counts, number, seed=7):
    return [epoch_documents(sources, counts, seed, epoch) for epoch in range(number)]


def test_weight_one_takes_every_document_once_an_epoch():
    for documents in epochs([A, DataSource("b")], [30, 20], 3):
        assert sorted(documents.tolist()) == list(range(50))


def test_half_the_documents_come_in_one_epoch_and_the_others_in_the_next():
    first, second, third, _ = (set(documents.tolist()) for documents in epochs([B], [100], 4))
    assert len(first) == len(second) == 50
    assert not first & second
    assert third not in (first, second)


def test_twice_takes_every_document_twice():
    for documents in epochs([A, DataSource("b", 2.0)], [10, 5], 2):
        assert Counter(documents.tolist()) == {**dict.fromkeys(range(10), 1), **dict.fromkeys(range(10, 15), 2)}


@given(count=st.integers(1, 50), hundredths=st.integers(1, 400), number=st.integers(1, 8))
def test_proportions_are_exact_and_no_document_is_ahead_by_more_than_one(count, hundredths, number):
    if hundredths * count < 100:
        return
    sources = [DataSource("other", 1.0), DataSource("a", hundredths / 100)]
    taken = [documents[documents >= 3] - 3 for documents in epochs(sources, [3, count], number)]
    assert sum(map(len, taken)) == number * hundredths * count // 100
    times = np.bincount(np.concatenate(taken), minlength=count)
    assert np.ptp(times) <= 1


def test_the_seed_decides():
    one, same, other = (epochs([B], [100], 1, seed)[0].tolist() for seed in (1, 1, 2))
    assert one == same != other
