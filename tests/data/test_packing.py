"""Packing: every document once, well filled, the order kept on the whole, and a cache that can only save time."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.data.packing import curriculum_order, pack, shuffled_order
from megatron_rfft.data.packing_cache import PackingCache, packing_key


def trace_lengths(count: int, longest: int, seed: int = 0) -> np.ndarray:
    """Token counts spread like those of rf-pretrain: a log-normal around 900 with a long tail, none over longest."""
    drawn = np.random.default_rng(seed).lognormal(6.8, 0.85, 2 * count).astype(np.int32)
    return drawn[(drawn >= 60) & (drawn <= longest)][:count]


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 64), min_size=1, max_size=300),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
    keep_order=st.booleans(),
)
def test_an_epoch_holds_every_document_once_and_fits(lengths, seed, epoch, keep_order):
    lengths = np.array(lengths, np.int32)
    packing = pack(shuffled_order(len(lengths), seed, epoch), lengths, 64, keep_order=keep_order)
    assert sorted(np.concatenate(list(packing)).tolist()) == list(range(len(lengths)))
    assert all(0 < lengths[sequence].sum() <= 64 for sequence in packing)
    assert packing.tokens(lengths).tolist() == [lengths[sequence].sum() for sequence in packing]


@given(pick=st.lists(st.integers(0, 9), min_size=1, max_size=100))
def test_a_document_taken_twice_is_packed_twice(pick):
    lengths = np.arange(1, 11, dtype=np.int32)
    packing = pack(np.array(pick), lengths, 16)
    assert sorted(packing.documents.tolist()) == sorted(pick)


@pytest.mark.parametrize("sequence_length", [8192, 16384])
@pytest.mark.parametrize("count", [10_000, 100_000])
def test_traces_fill_98_percent(count, sequence_length):
    lengths = trace_lengths(count, sequence_length)
    assert len(lengths) == count
    assert pack(shuffled_order(count, 1, 0), lengths, sequence_length).fill(lengths, sequence_length) > 0.98


@pytest.mark.parametrize("lengths", [[5] * 70_000, [8192] * 3000, [4097] * 3000, [1, 8192] * 2000])
def test_uneven_or_equal_lengths_are_packed_too(lengths):
    lengths = np.array(lengths, np.int32)
    packing = pack(shuffled_order(len(lengths), 1, 0), lengths, 8192)
    assert np.bincount(packing.documents).tolist() == [1] * len(lengths)
    assert packing.tokens(lengths).max() <= 8192


def test_a_document_longer_than_a_sequence_is_refused():
    with pytest.raises(ValueError, match="a document has 65 tokens, more than the sequence's 64"):
        pack(np.arange(2), np.array([3, 65]), 64)


def test_any_stretch_is_a_mixture():
    """Documents of every length and place come up alike in each twentieth of the epoch."""
    lengths = trace_lengths(60_000, 8192)
    packing = pack(shuffled_order(len(lengths), 1, 0), lengths, 8192)
    overall, deviation = lengths.mean(), lengths.std()
    for stretch in np.array_split(packing.documents, 20):
        assert abs(lengths[stretch].mean() - overall) < 5 * deviation / np.sqrt(len(stretch))
        assert abs(stretch.mean() - len(lengths) / 2) < 5 * len(lengths) / np.sqrt(12 * len(stretch))
    # Inside a window too: sequences of few long documents and of many short ones take turns.
    documents = np.diff(packing.starts)
    assert abs(np.corrcoef(documents, np.arange(len(packing)) % 128)[0, 1]) < 0.1


def test_epochs_differ_and_repeat_for_a_seed():
    lengths = np.random.default_rng(0).integers(10, 90, 500).astype(np.int32)

    def documents(seed, epoch):
        return pack(shuffled_order(500, seed, epoch), lengths, 128).documents.tolist()

    assert documents(1, 0) == documents(1, 0)
    assert documents(1, 0) != documents(1, 1)
    assert documents(1, 0) != documents(2, 0)
    assert pack(shuffled_order(500, 1, 0), lengths, 128).fill(lengths, 128) > 0.95


def test_a_curriculum_begins_easy_and_keeps_easy_documents_to_the_end():
    difficulty = np.repeat(np.linspace(0, 1, 10), 200)
    order = curriculum_order(difficulty, 0.5, seed=1)
    assert sorted(order.tolist()) == list(range(2000))
    assert difficulty[order[:100]].max() < 0.5
    assert difficulty[order].tolist().index(1.0) > 400
    assert difficulty[order[-200:]].min() == 0.0


def test_packing_keeps_a_curriculum():
    difficulty = np.repeat(np.linspace(0, 1, 10), 200)
    lengths = (20 + 30 * difficulty).astype(np.int32)
    packing = pack(curriculum_order(difficulty, 0.5, seed=1), lengths, 128, keep_order=True)
    seen = difficulty[packing.documents]
    assert seen[:100].max() < 0.5
    assert seen.tolist().index(1.0) > 400
    assert seen[-200:].min() == 0.0


class TestCache:
    """A sound file is used; any other is as good as none."""

    lengths = np.random.default_rng(0).integers(10, 60, 400).astype(np.int32)
    order = shuffled_order(400, 1, 0)

    def saved(self, folder):
        cache, packing = PackingCache(folder), pack(self.order, self.lengths, 128)
        cache.save("key", packing)
        return cache, packing

    def load(self, cache):
        return cache.load("key", self.order, self.lengths, 128)

    def test_what_is_saved_is_loaded(self, tmp_path):
        cache, packing = self.saved(tmp_path / "new" / "folder")
        loaded = self.load(cache)
        assert loaded.documents.tolist() == packing.documents.tolist()
        assert loaded.starts.tolist() == packing.starts.tolist()
        assert [file.name for file in cache.folder.iterdir()] == ["packing-key.npy"]

    @pytest.mark.parametrize("damage", ["cut", "text", "pickle", "documents", "sequences", "float"])
    def test_a_damaged_file_is_not_used(self, tmp_path, damage):
        cache, _ = self.saved(tmp_path)
        path = cache.path("key")
        table = np.load(path)
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-7])
        elif damage == "text":
            path.write_text("no packing")
        elif damage == "pickle":
            np.save(path, np.array([{}], dtype=object), allow_pickle=True)
        elif damage == "documents":
            table[0, 3] = table[0, 4]
            np.save(path, table)
        elif damage == "sequences":
            table[1] = 0
            np.save(path, table)
        else:
            np.save(path, table.astype(float))
        assert self.load(cache) is None

    def test_a_folder_that_cannot_be_written_is_said_and_survived(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        cache, _ = self.saved(tmp_path / "file")
        assert "takes no packing" in capsys.readouterr().err
        assert self.load(cache) is None

    def test_only_the_first_process_of_a_node_writes(self, tmp_path, monkeypatch):
        monkeypatch.setitem(os.environ, "LOCAL_RANK", "1")
        cache, _ = self.saved(tmp_path)
        assert self.load(cache) is None

    def test_keys_tell_every_input_apart(self):
        keys = {packing_key(seed=seed, epoch=epoch) for seed in range(3) for epoch in range(3)}
        assert len(keys) == 9
        assert packing_key(epoch=0, seed=1) == packing_key(seed=1, epoch=0)
