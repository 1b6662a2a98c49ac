"""Blends: weights in all their forms, exact counts an epoch, and nothing lost or taken twice over epochs."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.data.blend import DataSource, check_alike, check_weights, epoch_documents, parse_sources
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.tokenization.tokenize import tokenize_corpus

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
    check_weights([DataSource("a", 0.1)], [10])  # exactly one, though 0.1 is not a float


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


@settings(deadline=None)
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


def manifest(**changes):
    inputs = {"tokenizer_sha256": "t", "stop_id": 2, "bos_id": None, "chat": False, "chat_template_sha256": None}
    form = changes.pop("form", "rule")
    return {"form": form, "inputs": {**inputs, **changes}}


CHAT = {"chat": True, "chat_template_sha256": "c"}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"tokenizer_sha256": "u"}, "b and a differ in their tokenizer; tokenize them alike"),
        ({"stop_id": 3}, r"differ in their stop token \(3 and 2\)"),
        ({"stop_id": 3, "form": None}, "differ in their stop token"),
        ({"bos_id": 1}, "token of the beginning"),
        ({"form": "lean"}, r"form \('lean' and 'rule'\)"),
        (CHAT, r"use of the chat template \(--chat\) \(True and False\)"),
    ],
)
def test_data_sets_that_disagree_are_not_mixed(other, message):
    with pytest.raises(UserError, match=message):
        check_alike({"a": manifest(), "b": manifest(**other)})


def test_general_data_may_go_through_the_template_alone_but_there_is_one_template():
    general = manifest(form=None, **CHAT)
    check_alike({"a": manifest(), "b": general})
    check_alike({"a": manifest(**CHAT), "b": general})
    with pytest.raises(UserError, match="b and a differ in their chat template; tokenize"):
        check_alike({"a": manifest(**CHAT), "b": manifest(form=None, chat=True, chat_template_sha256="d")})


def test_a_data_set_is_not_opened_with_one_of_another_form(small_data, tmp_path):
    config = CorpusConfig({"coin_flip": [2]}, samples=4, split="train", form="direct")
    generate_corpus(config, tmp_path / "corpus")
    tokenize_corpus(tmp_path / "corpus", small_data.tokenizer, tmp_path / "direct")
    with pytest.raises(UserError, match=r"form \('direct' and 'lean'\); tokenize them alike"):
        PackedDataset([small_data.prefix, tmp_path / "direct"], 512, seed=1)
