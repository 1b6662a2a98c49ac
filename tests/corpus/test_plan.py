"""The order of a corpus is a permutation of its cells."""

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.corpus.plan import Cell, Plan, plan_cell


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any), st.integers(1, 7))
def test_shards_cover_every_record_once(sizes, num_shards):
    plan = Plan(Cell("coin_flip", length, size, array("L", range(size))) for length, size in enumerate(sizes))
    shards = [plan.shard(number, num_shards) for number in range(num_shards)]
    places = [place for shard in shards for place in plan.places(shard)]
    assert sorted(position for position, *_ in places) == list(range(plan.num_records))
    assert len(places) == plan.num_records == sum(sizes)
    assert sorted(tuple(where) for _, *where in places) == [
        ("coin_flip", length, i) for length, size in enumerate(sizes) for i in range(size)
    ]
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_cell_keeps_the_first_of_equal_instances():
    cell = plan_cell("length_int", 4, 100, "train")
    assert list(cell.indices)[:5] == [0, 1, 2, 3, 4]
    assert len(cell.indices) == 100
    assert plan_cell("length_int", 1, 100, "test").indices.tolist() == [0]
