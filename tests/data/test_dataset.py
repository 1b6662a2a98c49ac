"""Packing and batches: every document once an epoch, isolated, with the loss on its response alone."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.blend import DataSource
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.data.sampling import deal_documents, deal_sequences, micro_batches

SEQUENCE = 384


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
    assert not batch.labels[batch.loss_mask == 0].any()
    assert batch.cu_seqlens[0] == 0
    assert batch.cu_seqlens[-1] == 2 * SEQUENCE
    assert batch.max_seqlen == np.diff(batch.cu_seqlens).max()


def test_padded_documents_begin_at_multiples_and_their_padding_is_no_target(small_data):
    plain = PackedDataset([small_data.prefix], SEQUENCE, seed=3)
    padded = PackedDataset([small_data.prefix], SEQUENCE, seed=3, document_multiple=16)
    batch = padded.batch(range(padded.epoch_length))
    assert (np.diff(batch.cu_seqlens) % 16 == 0).all()
    whole = plain.batch(range(plain.epoch_length))
    assert batch.loss_mask.sum() == whole.loss_mask.sum()
    assert np.bincount(batch.labels).tolist()[1:] == np.bincount(whole.labels).tolist()[1:]
    assert (batch.position_ids[batch.cu_seqlens[:-1]] == 0).all()
    with pytest.raises(UserError, match=r"has 384 tokens, more than data\.sequence_length 383"):
        PackedDataset([small_data.prefix], 383, seed=3, document_multiple=384)


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


def test_documents_laid_end_to_end_are_those_of_padded_sequences(small_data):
    dataset = PackedDataset([small_data.prefix], SEQUENCE, seed=3, packed=False, document_multiple=4)
    apart, together = dataset.batch([5, 3, 8]), dataset.batch([5, 3, 8], tokens=1024)
    room = dataset.room([5, 3, 8]).tolist()
    assert together.cu_seqlens.tolist() == [0, room[0], room[0] + room[1], sum(room), 1024]
    assert together.max_seqlen == max(*room, 1024 - sum(room))
    starts = zip(np.cumsum([0, *room]), range(0, 3 * SEQUENCE, SEQUENCE), room, strict=False)
    for here, there, tokens in starts:
        for name in ("tokens", "labels", "loss_mask", "position_ids", "cells"):
            mine, other = getattr(together, name), getattr(apart, name)
            assert mine[here : here + tokens].tolist() == other[there : there + tokens].tolist(), name
    assert not together.loss_mask[sum(room) :].any()
    assert len(dataset.batch([5, 3, 8], tokens=sum(room)).cu_seqlens) == 4, "no padding, no document for it"
    with pytest.raises(ValueError, match=f"documents of {sum(room)} tokens in a micro-batch of {sum(room) - 1}"):
        dataset.batch([5, 3, 8], tokens=sum(room) - 1)


def test_a_micro_batch_may_hold_no_document(small_data):
    empty = PackedDataset([small_data.prefix], SEQUENCE, seed=3, packed=False).batch([], tokens=16)
    assert empty.cu_seqlens.tolist() == [0, 16]
    assert not any(values.any() for values in (empty.tokens, empty.labels, empty.loss_mask, empty.cells))


def test_too_long_documents_are_refused(small_data):
    where = r"document \d+ of \S+ \((coin_flip|length_int) at length 4\) has \d+ tokens"
    with pytest.raises(UserError, match=where + r", more than data\.sequence_length 16; raise it"):
        PackedDataset([small_data.prefix], 16, seed=3)


def test_two_data_sets_are_read_as_one(small_data):
    one = PackedDataset([small_data.prefix], SEQUENCE, seed=3)
    two = PackedDataset([small_data.prefix, small_data.prefix], SEQUENCE, seed=3)
    seen = np.concatenate([two.documents_in(i) for i in range(two.epoch_length)])
    assert sorted(seen.tolist()) == list(range(2 * len(one.parts[0])))


def test_a_blend_takes_its_weights_worth_each_epoch(small_data):
    count = len(PackedDataset([small_data.prefix], SEQUENCE, seed=3).lengths)
    sources = [DataSource(str(small_data.prefix), 0.5), DataSource(str(small_data.prefix), 2.0)]
    dataset = PackedDataset(sources, SEQUENCE, seed=3)
    halves = []
    for epoch in range(2):
        times = np.bincount(dataset.packing(epoch).documents, minlength=2 * count)
        assert times[count:].tolist() == [2] * count
        halves.append(set(np.flatnonzero(times[:count]).tolist()))
    assert halves[0] | halves[1] == set(range(count))
    assert abs(len(halves[0]) - len(halves[1])) <= 1
    assert not halves[0] & halves[1]


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.5)])
def test_a_curriculum_keeps_long_problems_for_later_in_the_first_epoch_only(small_data, weights):
    sources = [DataSource(str(small_data.prefix), weight) for weight in weights]
    dataset = PackedDataset(sources, SEQUENCE, seed=3, curriculum=0.6)
    length = np.concatenate([part.rows["length"] for part in dataset.parts])
    first, second = (length[dataset.packing(epoch).documents] for epoch in range(2))
    tenth = len(first) // 10
    assert first[:tenth].max() < 4
    assert (first[-tenth:] == 4).mean() > 0.3
    assert first[-2 * tenth :].min() <= 2
    assert second[:tenth].max() == 4


def stream(dataset, consumed, until, global_batch_size, micro_batch_size, ranks):
    """Sequence numbers that all ranks read from ``consumed`` samples on, and their tokens by number."""
    seen, tokens = [], {}
    for start in range(consumed, until, global_batch_size):
        costs = dataset.attention_costs(range(start, start + global_batch_size))
        for rank in range(ranks):
            for sequences in micro_batches(start, costs, micro_batch_size, rank, ranks):
                batch = dataset.batch(sequences)
                rows = batch.tokens.reshape(micro_batch_size, -1)
                seen += sequences
                tokens.update(zip(sequences, rows.tolist(), strict=True))
    return seen, tokens


@pytest.mark.parametrize(("before", "after"), [((1, 1), (4, 2)), ((4, 2), (1, 3)), ((2, 3), (3, 1))])
def test_a_resumed_run_of_another_size_sees_the_remaining_samples_once(small_data, before, after):
    """Stopped in the second of three epochs; ranks and micro-batch size change, the sequences do not."""
    size = 24
    whole = PackedDataset([small_data.prefix], SEQUENCE, seed=3)
    epochs = np.cumsum([0] + [len(whole.packing(epoch)) for epoch in range(3)])
    stop = int(epochs[1] + epochs[2]) // 2 // size * size
    end = -(-int(epochs[3]) // size) * size
    assert epochs[1] < stop < epochs[2]
    _, expected = stream(whole, 0, end, size, 1, 1)

    first, _ = stream(PackedDataset([small_data.prefix], SEQUENCE, seed=3), 0, stop, size, before[1], before[0])
    resumed = PackedDataset([small_data.prefix], SEQUENCE, seed=3)
    rest, tokens = stream(resumed, stop, end, size, after[1], after[0])
    assert sorted(first) == list(range(stop))
    assert sorted(rest) == list(range(stop, end))
    assert tokens == {number: expected[number] for number in range(stop, end)}
    for begin, finish in pairwise(epochs):
        documents = np.concatenate([resumed.documents_in(i) for i in range(begin, finish)])
        assert sorted(documents.tolist()) == list(range(len(resumed.lengths)))


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 96), max_size=40),
    multiple=st.sampled_from([1, 4, 16]),
    sixteens=st.integers(6, 20),
    batches=st.integers(1, 6),
)
def test_documents_are_dealt_out_once_evenly_and_to_few_micro_batches(lengths, multiple, sixteens, batches):
    documents, capacity = np.array(lengths, np.int64), 16 * sixteens
    parts, tokens = deal_documents(documents, capacity, multiple, batches)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
    assert all((np.diff(part) > 0).all() for part in parts)
    assert len(parts) % batches == 0
    assert tokens % multiple == 0
    loads = [int(documents[part].sum()) for part in parts]
    assert max(loads) <= tokens <= capacity
    assert tokens - max(loads) < multiple or not lengths
    assert max(loads) <= sum(lengths) / len(parts) + max(lengths, default=0)
    # Any micro-batch but those of the last round has company: two of them would not fit in one.
    if len(parts) > batches:
        assert sum(lengths) > capacity * (len(parts) - batches) / 2
    again, _ = deal_documents(documents, capacity, multiple, batches)
    assert [part.tolist() for part in parts] == [part.tolist() for part in again]


def test_what_cannot_be_dealt_out_is_refused():
    with pytest.raises(ValueError, match="documents of up to 17 tokens"):
        deal_documents(np.array([3, 17]), 16, 1, 1)
    with pytest.raises(ValueError, match="24 of a multiple of 16"):
        deal_documents(np.array([3, 17]), 24, 16, 1)


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="24 sequences do not divide into 5 x 2"):
        list(micro_batches(0, np.zeros(24, np.int64), 2, 0, 5))


@settings(deadline=None)
@given(costs=st.lists(st.integers(0, 2**40), min_size=1, max_size=12), ranks=st.integers(1, 5), each=st.integers(1, 4))
def test_sequences_are_dealt_out_once_and_as_many_to_each_rank(costs, ranks, each):
    costs = np.array((costs * ranks * each)[: ranks * each], np.int64)
    dealt = deal_sequences(costs, ranks)
    assert sorted(np.concatenate(dealt).tolist()) == list(range(len(costs)))
    assert {len(part) for part in dealt} == {each}
    assert all((np.diff(part) > 0).all() for part in dealt)
    assert deal_sequences(costs, 1)[0].tolist() == list(range(len(costs))), "one process: in the data's order"


def test_the_slowest_rank_of_a_step_has_less_above_the_mean(small_data):
    """Against giving each rank as many neighbours: the attention of 50 steps of 32 packed sequences on four ranks."""
    dataset = PackedDataset([DataSource(str(small_data.prefix), 1.0)], SEQUENCE, seed=3)
    excess = {"neighbours": [], "dealt": []}
    for step in range(50):
        costs = dataset.attention_costs(range(32 * step, 32 * step + 32))
        ways = {"neighbours": np.split(np.arange(32), 4), "dealt": deal_sequences(costs, 4)}
        for name, parts in ways.items():
            excess[name].append(max(costs[part].sum() for part in parts) / (costs.sum() / 4) - 1)
    neighbours, dealt = (float(np.mean(excess[name])) for name in ("neighbours", "dealt"))
    assert dealt < neighbours / 5
    assert dealt < 0.01


def test_the_cost_of_a_sequence_is_that_of_its_documents(small_data):
    dataset = PackedDataset([DataSource(str(small_data.prefix), 1.0)], SEQUENCE, seed=3)
    expected = [int((dataset.document_lengths([number]).astype(np.int64) ** 2).sum()) for number in range(5)]
    assert dataset.attention_costs(range(5)).tolist() == expected


def test_a_cache_changes_nothing_and_is_used(small_data, tmp_path, monkeypatch):
    def documents(**options):
        dataset = PackedDataset([small_data.prefix], SEQUENCE, seed=3, curriculum=0.5, **options)
        return [dataset.packing(epoch).documents.tolist() for epoch in range(3)]

    computed = documents()
    assert documents(cache=tmp_path) == computed
    assert len(list(tmp_path.glob("packing-*.npy"))) == 3
    monkeypatch.setattr("megatron_rfft.data.dataset.pack", lambda *_, **__: pytest.fail("packed in spite of the cache"))
    assert documents(cache=tmp_path) == computed


def test_a_cache_tells_apart_what_decides_a_packing(small_data, tmp_path):
    source = DataSource(str(small_data.prefix))
    for sources, length, seed, curriculum in (
        ([source], SEQUENCE, 3, 0.0),
        ([source], SEQUENCE, 4, 0.0),
        ([source], SEQUENCE + 1, 3, 0.0),
        ([source], SEQUENCE, 3, 0.5),
        ([source, source], SEQUENCE, 3, 0.0),
        ([DataSource(source.path, 2.0)], SEQUENCE, 3, 0.0),
    ):
        before = len(list(tmp_path.iterdir()))
        PackedDataset(sources, length, seed, curriculum=curriculum, cache=tmp_path).packing(0)
        assert len(list(tmp_path.iterdir())) == before + 1
