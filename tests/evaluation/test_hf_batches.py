"""How transformers' requests are put together: all of them once, within rows and memory; with either kind of cache."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from megatron_rfft.evaluation.engines.base import Request, Start
from megatron_rfft.evaluation.engines.hf import BATCH_SIZE, HfEngine, cut_into_batches
from megatron_rfft.tokenization.tokenizers import load_tokenizer

lengths = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 200)), max_size=40)


@settings(deadline=None)
@given(lengths, st.integers(1, 10), st.integers(1, 9), st.integers(100, 20_000), st.booleans())
@example([(1, 2), (1, 2), (4, 1)], 3, 9, 100, False)  # the last one leaves room for fewer rows than there are
def test_every_request_is_in_one_batch_that_fits(shapes, most, bytes_per_token, budget, fixed):
    requests = [Request([1] * prompt, answer) for prompt, answer in shapes]
    batches = list(cut_into_batches(requests, most, bytes_per_token, budget, fixed))
    assert sorted(position for batch in batches for position in batch.positions) == list(range(len(requests)))
    budgets = [requests[position].max_tokens for batch in batches for position in batch.positions]
    assert budgets == sorted(budgets, reverse=True), "what takes most memory comes first"
    for batch in batches:
        prompt = max(len(requests[p].prompt_ids) for p in batch.positions)
        answer = max(requests[p].max_tokens for p in batch.positions)
        assert prompt + answer <= batch.length
        assert len(batch.positions) <= batch.rows <= most
        assert batch.rows == 1 or batch.rows * batch.length * bytes_per_token <= budget
        if not fixed:
            assert (batch.rows, batch.length) == (len(batch.positions), prompt + answer)


def test_a_batch_is_as_large_as_rows_and_memory_allow():
    def sizes(most, bytes_per_token, budget):
        return [len(batch.positions) for batch in cut_into_batches(requests, most, bytes_per_token, budget)]

    requests = [Request([1] * 10, 90)] * 7
    assert sizes(3, 1, 1e9) == [3, 3, 1]
    assert sizes(9, 2, 400) == [2, 2, 2, 1]


def test_shapes_are_few_where_each_is_compiled():
    """All lengths up to 3,000 tokens in batches of 32: as many shapes as powers of two, the last batch's too."""
    requests = [Request([1] * (1 + number % 700), 1 + number) for number in range(2300)]
    batches = list(cut_into_batches(requests, 32, 1, 1e9, fixed=True))
    assert {(batch.rows, batch.length) for batch in batches} == {
        (32, 256),
        (32, 512),
        (32, 1024),
        (32, 2048),
        (32, 4096),
    }
    assert len({(batch.rows, batch.length) for batch in cut_into_batches(requests, 32, 1, 1e9)}) > 50


@pytest.fixture(scope="module")
def questions(tiny_model):
    generator = torch.Generator().manual_seed(5)

    def draw(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    ids = [torch.randint(100, (draw(1, 60),), generator=generator).tolist() for _ in range(70)]
    return [Request(prompt, draw(1, 50)) for prompt in ids]


def answers(engine, questions):
    return {c.position: (c.token_ids, c.stopped) for c in engine.generate(questions)}


def test_a_cache_of_fixed_size_gives_the_tokens_of_a_growing_one(tiny_model, questions, monkeypatch):
    monkeypatch.setitem(BATCH_SIZE, "cpu", 16)
    stop_id = load_tokenizer(tiny_model).stop_id
    growing, fixed = (HfEngine(tiny_model, Start("fp32", stop_id), fixed=value) for value in (False, True))
    expected = answers(growing, questions)
    assert len({stopped for _, stopped in expected.values()}) == 2
    assert answers(fixed, questions) == expected
    assert answers(fixed, questions[:3]) == answers(growing, questions[:3]), "and again, in a cache used before"
    assert fixed.has_fixed_cache
    assert not growing.has_fixed_cache


def test_where_compiling_fails_the_answers_come_all_the_same(tiny_model, questions, monkeypatch, capsys):
    stop_id = load_tokenizer(tiny_model).stop_id
    engine = HfEngine(tiny_model, Start("fp32", stop_id), fixed=True)
    generate = engine._model.generate

    def broken(*positional, **named):
        if "past_key_values" in named:
            raise RuntimeError("no compiler here\nand many lines more")
        return generate(*positional, **named)

    monkeypatch.setattr(engine._model, "generate", broken)
    expected = answers(HfEngine(tiny_model, Start("fp32", stop_id)), questions)
    assert answers(engine, questions) == expected
    assert not engine.has_fixed_cache
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert "failed (RuntimeError: no compiler here); going on with a growing one, which is slower" in line
