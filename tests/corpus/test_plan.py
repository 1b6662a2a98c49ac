"""The order of a corpus is a permutation of its cells."""

import pickle
from array import array
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.corpus import CorpusConfig, plan
from megatron_rfft.corpus.generate import plan_corpus, shard_lines
from megatron_rfft.corpus.plan import Cell, CorpusPlan, plan_cell
from megatron_rfft.tasks import FORMS, list_tasks, load_task


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any), st.integers(1, 7))
def test_shards_cover_every_record_once(sizes, num_shards):
    made = CorpusPlan(Cell("coin_flip", length, size, array("L", range(size))) for length, size in enumerate(sizes))
    shards = [made.shard(number, num_shards) for number in range(num_shards)]
    places = [place for shard in shards for place in made.places(shard)]
    assert sorted(position for position, *_ in places) == list(range(made.num_records))
    assert len(places) == made.num_records == sum(sizes)
    assert sorted(tuple(where) for _, *where in places) == [
        ("coin_flip", length, i) for length, size in enumerate(sizes) for i in range(size)
    ]
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_cell_keeps_the_first_of_equal_instances():
    cell = plan_cell("length_int", 4, 100, "train")
    assert list(cell.indices)[:5] == [0, 1, 2, 3, 4]
    assert len(cell.indices) == 100
    assert plan_cell("length_int", 1, 100, "test").indices.tolist() == [0]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_kept_of_a_draw_gives_the_same_examples(form):
    for name in (
        "add_int",
        "coin_flip",
        "dyck_languages",
        "longest_absolute_file_path",
        "single_number",
        "random_lists",
    ):
        for variant in (name, f"{name}+rename"):
            if variant == "random_lists+rename":
                continue
            task = load_task(variant)
            for length in task.valid_lengths[1:9:4]:
                _, kept = task.look("train", length, 2)
                assert task.example(length, "train", 2, form, kept) == task.example(length, "train", 2, form)


def test_every_task_keeps_what_it_draws():
    for name in list_tasks():
        task = load_task(name)
        length = task.valid_lengths[len(task.valid_lengths) // 2]
        number, kept = task.look("train", length, 0)
        assert number == task.look("train", length, 0)[0]
        assert repr(task.draw_kept(kept, "train", length, 0)) == repr(task.draw("train", length, 0)[0])


def test_a_corpus_is_the_same_whatever_was_kept(monkeypatch):
    """All draws, those that there is room for, and none: for a process that got the plan from another."""
    config = CorpusConfig({"coin_flip": (1, 5, 6), "add_int": (4,), "random_lists": (3,)}, samples=30, num_shards=2)
    lines, shares = [], []
    for room in (plan.KEPT_BYTES, 5000, 0):
        monkeypatch.setattr(plan, "KEPT_BYTES", room)
        made = plan_corpus(config, map)
        kept = [made.kept(made.shard(number, 2)) for number in range(2)]
        shares.append(sum(drawn is not None for each in kept for drawn in each))
        lines.append([shard_lines(config, made, number, kept[number]) for number in range(2)])
    assert lines[0] == lines[1] == lines[2]
    assert shares[0] == made.num_records - 30  # random rules draw nothing while they are planned
    assert shares[0] > shares[1] > shares[2] == 0


def test_another_process_gets_the_plan_without_the_draws():
    made = CorpusPlan([plan_cell("add_int", 9, 200, "train")])
    copy = pickle.loads(pickle.dumps(made))
    shard = made.shard(0, 1)
    assert copy.kept(shard) == [*repeat(None, 200)]
    assert list(copy.places(shard)) == list(made.places(shard))
    assert len(pickle.dumps(made)) < 4000 < sum(map(len, made.kept(shard)))
