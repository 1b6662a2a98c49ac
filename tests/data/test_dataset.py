"""Packing and batches: every document once an epoch, isolated, with the loss on its response alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.data.packing import curriculum_order, pack, shuffled_order

SEQUENCE = 384


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(1, 64), min_size=1, max_size=300), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_an_epoch_holds_every_document_once_and_fits(lengths, seed, epoch):
    lengths = np.array(lengths, np.int32)
    packed = pack(shuffled_order(len(lengths), seed, epoch), lengths, 64)
    assert sorted(np.concatenate(packed).tolist()) == list(range(len(lengths)))
    assert all(lengths[sequence].sum() <= 64 for sequence in packed)


def test_epochs_differ_and_repeat_for_a_seed():
    lengths = np.random.default_rng(0).integers(10, 90, 500).astype(np.int32)

    def order(seed, epoch):
        return shuffled_order(len(lengths), seed, epoch).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    fill = lengths.sum() / (128 * len(pack(shuffled_order(500, 1, 0), lengths, 128)))
    assert fill > 0.95


def test_a_curriculum_begins_easy_and_keeps_easy_documents_to_the_end():
    difficulty = np.repeat(np.linspace(0, 1, 10), 200)
    order = curriculum_order(difficulty, 0.5, seed=1)
    assert sorted(order.tolist()) == list(range(2000))
    assert difficulty[order[:100]].max() < 0.5
    assert difficulty[order].tolist().index(1.0) > 400
    assert difficulty[order[-200:]].min() == 0.0


def test_a_batch_masks_by_position_and_restarts_positions(small_data):
    dataset = PackedDataset([small_data.prefix], SEQUENCE, seed=3)
    batch = dataset.batch([0, 1])
    part = dataset.parts[0]
    starts = {0: 0, 1: SEQUENCE}
    boundaries = set(batch.cu_seqlens.tolist())
    targets = 0
    for sequence, start in starts.items():
        for document in dataset.documents_in(sequence):
            tokens = part.tokens[int(document)]
            response = int(part.rows["response_start"][document])
            end = start + len(tokens)
            assert {start, end} <= boundaries
            assert batch.tokens[start:end].tolist() == tokens.tolist()
            assert batch.position_ids[start:end].tolist() == list(range(len(tokens)))
            masked = np.flatnonzero(batch.loss_mask[start:end])
            # Targets are the response and the stop token, each predicted one position earlier.
            assert masked.tolist() == list(range(response - 1, len(tokens) - 1))
            assert batch.labels[start:end][masked].tolist() == tokens[response:].tolist()
            targets += len(masked)
            start = end
    assert batch.loss_mask.sum() == targets
    assert batch.cu_seqlens[0] == 0
    assert batch.cu_seqlens[-1] == 2 * SEQUENCE
    assert batch.max_seqlen == np.diff(batch.cu_seqlens).max()


def test_the_stream_goes_on_over_epochs_and_any_sequence_can_be_asked_for(small_data):
    forward = PackedDataset([small_data.prefix], SEQUENCE, seed=3)
    far = 3 * forward.epoch_length + 1
    wanted = PackedDataset([small_data.prefix], SEQUENCE, seed=3).batch([far])
    seen = [np.sort(np.concatenate([forward.documents_in(i) for i in range(forward.epoch_length)]))]
    assert seen[0].tolist() == list(range(len(forward.parts[0])))
    assert forward.batch([far]).tokens.tolist() == wanted.tokens.tolist()


def test_unpacked_sequences_hold_one_document_each(small_data):
    dataset = PackedDataset([small_data.prefix], SEQUENCE, seed=3, packed=False)
    assert dataset.epoch_length == len(dataset.parts[0])
    assert {len(dataset.documents_in(i)) for i in range(20)} == {1}


def test_too_long_documents_are_refused(small_data):
    with pytest.raises(UserError, match=r"data\.sequence_length 16; raise it"):
        PackedDataset([small_data.prefix], 16, seed=3)


def test_two_data_sets_are_read_as_one(small_data):
    one = PackedDataset([small_data.prefix], SEQUENCE, seed=3)
    two = PackedDataset([small_data.prefix, small_data.prefix], SEQUENCE, seed=3)
    seen = np.concatenate([two.documents_in(i) for i in range(two.epoch_length)])
    assert sorted(seen.tolist()) == list(range(2 * len(one.parts[0])))
