"""How transformers' requests are put together: all of them once, within rows and memory."""

from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.evaluation.engines.base import Request
from megatron_rfft.evaluation.engines.hf import cut_into_batches

lengths = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 200)), max_size=40)


@given(lengths, st.integers(1, 10), st.integers(1, 9), st.integers(100, 20_000))
def test_every_request_is_in_one_batch_that_fits(shapes, most, bytes_per_token, budget):
    requests = [Request([1] * prompt, answer) for prompt, answer in shapes]
    batches = list(cut_into_batches(requests, most, bytes_per_token, budget))
    assert sorted(position for batch in batches for position in batch) == list(range(len(requests)))
    budgets = [requests[position].max_tokens for batch in batches for position in batch]
    assert budgets == sorted(budgets), "short answers wait for long ones"
    for batch in batches:
        longest = max(len(requests[p].prompt_ids) + requests[p].max_tokens for p in batch)
        assert len(batch) <= most
        assert len(batch) == 1 or len(batch) * longest * bytes_per_token <= budget


def test_a_batch_is_as_large_as_rows_and_memory_allow():
    requests = [Request([1] * 10, 90)] * 7
    assert list(map(len, cut_into_batches(requests, 3, 1, 1e9))) == [3, 3, 1]
    assert list(map(len, cut_into_batches(requests, 9, 2, 400))) == [2, 2, 2, 1]
