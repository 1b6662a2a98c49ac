"""Splits where there are few instances, many, or a sampler with a fault."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.tasks import NoInstanceError, list_tasks, load_task
from megatron_rfft.tasks.instances import FEW, SPLITS, DistinctInstances, Draws, instance_key, list_if_few
from megatron_rfft.tasks.registry import FAMILIES

LENGTH_INT = load_task("length_int")


class Checked(Random):
    """``Random`` with one float for a small number, as ``Draws`` has it, and all else of its own."""

    def _randbelow(self, n: int) -> int:
        return int(self.random() * n) if n < 2**32 else super()._randbelow(n)


def test_draws_are_those_of_random():
    """Every method that a sampler may call, with numbers of all sizes: else the examples would change with them."""
    pick = Random(5)
    for _ in range(800):
        seed, n = pick.getrandbits(64), pick.choice([1, 2, 5, 20, 21, 22, 25, 50, 85, 86, 300, 2**33])
        few = min(n, 300)
        k = pick.randint(0, few)

        def draw(rng: Random, n: int = n, few: int = few, k: int = k) -> list:
            items = list(range(few))
            rng.shuffle(items)
            return [
                *(items, rng.sample(items, k), rng.sample(range(few), k), rng.sample(items, 1, counts=[2] * few)),
                *(rng.choices(items, k=k), rng.choices(items, range(1, few + 1), k=k), rng.choice(items)),
                *(rng.randrange(n), rng.randrange(3, 3 + n), rng.randrange(0, n + 9, 3), rng.randint(2, 2 + n)),
                *(rng.uniform(1, n), rng.gauss(0, 1), rng.random()),
            ]

        assert draw(Draws(seed)) == draw(Checked(seed))
    with pytest.raises(ValueError, match="no number to draw"):
        Draws(1).randrange(4, 4)
    with pytest.raises(ValueError, match="larger than population"):
        Draws(1).sample([1], 2)


def with_sampler(sampler, **fields):
    return replace(LENGTH_INT, instance=sampler, few_instances={}, **fields)


def all_arguments(task, split: str) -> list:
    count = len(list_if_few(task, 1)[split])
    with pytest.raises(NoInstanceError, match=f"has {count} {split} instances of length 1; index {count} is beyond"):
        task.example(1, split, count, "direct")
    return [task.example(1, split, index, "direct").arguments for index in range(count)]


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (10, (8, 1, 1)), (95, (77, 9, 9))]
)
def test_few_instances_are_dealt_out(count, sizes):
    task = with_sampler(lambda rng, length: (str(rng.randrange(count)),))
    dealt = {split: all_arguments(task, split) for split in SPLITS}
    assert tuple(len(dealt[split]) for split in SPLITS) == sizes
    assert len({arguments for some in dealt.values() for arguments in some}) == count


def test_the_split_of_an_instance_outlives_versions():
    few = with_sampler(lambda rng, length: (str(rng.randrange(50)),))
    newer = replace(few, version=2, few_instances={})
    assert list_if_few(few, 1) == list_if_few(newer, 1)
    assert LENGTH_INT.example(9, index=1).arguments != replace(LENGTH_INT, version=2).example(9, index=1).arguments
    seen = {
        replace(LENGTH_INT, version=v).example(9, "test", i, "direct").arguments for v in (1, 2) for i in range(300)
    }
    assert not seen & {LENGTH_INT.example(9, "train", i, "direct").arguments for i in range(3000)}


def test_many_instances_are_not_listed():
    assert list_if_few(with_sampler(lambda rng, length: (str(rng.randrange(3 * FEW)),)), 1) is None
    assert list_if_few(LENGTH_INT, 12) is None


def check_that_tasks_grow(lengths: range) -> None:
    """What ``Task.grows`` says of the package's tasks: only their shortest lengths have few instances."""
    for name in [name for family in FAMILIES for name in list_tasks(family=family)]:
        task = replace(load_task(name), few_instances={}, grows=False)
        has_few = [list_if_few(task, length) is not None for length in task.valid_lengths if length in lengths]
        assert load_task(name).grows
        assert has_few == sorted(has_few, reverse=True), name


def test_no_length_has_few_instances_behind_one_with_many():
    check_that_tasks_grow(range(1, 7))


@pytest.mark.slow
def test_no_length_of_all_has_few_instances_behind_one_with_many():
    check_that_tasks_grow(range(1, 101))


def test_behind_a_length_with_many_instances_none_is_looked_at():
    asked = []

    def sampler(rng: Random, length: int) -> tuple:
        asked.append(length)
        return (str(rng.randrange(7**length)),)

    task = with_sampler(sampler)
    assert [list_if_few(task, length) is None for length in (2, 4, 7, 3)] == [False, True, True, False]
    assert set(asked) == {2, 4, 3}
    assert list_if_few(with_sampler(sampler, grows=False), 7) is None
    assert set(asked) == {2, 4, 3, 7}


def test_a_listed_instance_is_a_copy():
    task = load_task("reverse_list")
    task.example(1, "test", 0).arguments[0].clear()
    assert len(task.example(1, "test", 0).arguments[0]) == 1


def test_a_sampler_that_ends_up_in_one_split_is_reported():
    draws = iter(range(FEW + 2))  # many while they are listed, one for ever after

    def sampler(rng: Random, length: int) -> tuple:
        return (str(next(draws, 5)),)

    task = with_sampler(sampler)
    assert list_if_few(task, 1) is None
    for _ in draws:
        pass
    with pytest.raises(NoInstanceError, match=r"draws no \w+ instance of length 1; fix its sampler"):
        [task.example(1, split) for split in SPLITS]


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(
        ["length_int", "make_array_zero_by_subtracting_equal_amounts", "get_digit_int", "remove_element+rename"]
    ),
    st.sampled_from([1, 2, 3, 4, 20]),
    st.sampled_from(SPLITS),
    st.integers(1, 60),
)
def test_the_first_distinct_instances(name, length, split, samples):
    """By hand: every index in turn, each problem once, up to as many as asked for or four times as many looked at."""
    task, seen, expected, looked = load_task(name), set(), [], 0
    while len(expected) < samples and looked < 4 * samples:
        try:
            problem, _ = task.draw(split, length, looked)
        except NoInstanceError:
            break
        if repr(problem.arguments) not in seen:
            expected.append(looked)
            seen.add(repr(problem.arguments))
        looked += 1
    found = DistinctInstances(task, split, length, samples)
    drawn = list(found)
    assert [index for index, _ in drawn] == expected
    assert found.num_duplicates == looked - len(expected)
    for index, kept in drawn[:3]:
        assert task.example(length, split, index, "direct", kept) == task.example(length, split, index, "direct")


def test_no_instance_has_two_lengths():
    """Else a question could be a test question of one length and a training question of another."""
    for name in ("losers_of_the_circular_game", "add_int", "move_zeroes", "logic_circuit", "number_sig_fig"):
        task = load_task(name)
        lengths: dict[bytes, int] = {}
        for length in [n for n in range(1, 12) if n in task.valid_lengths]:
            listed = list_if_few(task, length)
            drawn = [task.instance(Random(seed), length) for seed in range(300)]
            drawn += [arguments for some in (listed or {}).values() for arguments in some]
            for arguments in drawn:
                assert lengths.setdefault(instance_key(arguments), length) == length
