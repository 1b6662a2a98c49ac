"""How tasks and lengths are named: one grammar for corpora and evaluations."""

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.tasks import list_tasks, load_task, read_tasks, task_names


def lengths(tasks, given=None, **how):
    return {name: asked.plain() for name, asked in read_tasks(tasks, given, **how).items()}


def test_tasks_have_lengths_of_their_own_or_the_common_ones():
    assert lengths("coin_flip:1-3,8, length_int", "2-6:2") == {"coin_flip": (1, 2, 3, 8), "length_int": (2, 4, 6)}
    assert lengths(["coin_flip:1-3,8", "length_int:70"]) == {"coin_flip": (1, 2, 3, 8), "length_int": (70,)}


def test_a_group_stands_for_its_tasks_and_may_have_lengths_of_its_own():
    assert lengths("held-out", "5") == dict.fromkeys(list_tasks(role="held-out"), (5,))
    assert lengths("pretrain/logic:2-30:14,coin_flip", "5") == {
        **dict.fromkeys(list_tasks(role="pretrain", family="logic"), (2, 16, 30)),
        "coin_flip": (5,),
    }
    asked = read_tasks("pretrain/logic:2,coin_flip:3,length_int", "4")
    group, own, common = asked[list_tasks("pretrain", "logic")[0]], asked["coin_flip"], asked["length_int"]
    assert [(each.is_own, each.is_named) for each in (group, own, common)] == [
        (False, False),
        (True, True),
        (False, True),
    ]


def test_shares_are_weights_that_only_a_corpus_takes():
    asked = read_tasks("coin_flip:1-8:0.9,9-20:0.1,length_int:3", None)
    assert (asked["coin_flip"].weights[8], asked["coin_flip"].weights[9]) == pytest.approx((2.25, 1 / 6))
    assert asked["length_int"].plain() == (3,)
    with pytest.raises(UserError, match=r"lengths \[1, 2, .*\] have shares, which only a corpus takes; leave them out"):
        asked["coin_flip"].plain()


def test_names_of_their_own_are_for_tasks_that_have_none_yet():
    assert list(lengths("coin_flip,random_lists", "5", rename=True)) == ["coin_flip+rename", "random_lists"]
    with pytest.raises(UserError, match=r"coin_flip\+rename is named twice"):
        read_tasks("coin_flip,coin_flip+rename", "5", rename=True)
    assert load_task("coin_flip+rename").name == "coin_flip+rename"


@pytest.mark.parametrize(
    ("tasks", "given", "message"),
    [
        ("coin_flipp", "1", "no task is called 'coin_flipp'; did you mean coin_flip"),
        ("coin_flip", None, "task coin_flip has no lengths; give --lengths, or write coin_flip:1-10"),
        ("held-out", None, "has no lengths; give --lengths, or write held-out:1-10"),
        ("coin_flip:1,coin_flip:2", None, "task coin_flip is named twice in 'coin_flip:1,coin_flip:2'; give all its"),
        (
            "held-out,length_int",
            "3",
            "length_int is named twice in 'held-out,length_int'; give all its lengths",
        ),
        ("coin_flip:x", None, "'x' is not a range; write for example"),
        ("coin_flip:3-1", None, "'3-1' is empty"),
        ("pretrain/poetry", "3", "'poetry' is unknown; choose one of code, numbers, symbolic, logic"),
    ],
)
def test_what_cannot_be_read(tasks, given, message):
    with pytest.raises(UserError, match=message):
        read_tasks(tasks, given)


def test_old_names_are_read():
    assert lengths("lc_412:2,fizz_buzz+rename:3") == {"fizz_buzz": (2,), "fizz_buzz+rename": (3,)}
    assert lengths("lc_412", "2", rename=True) == {"fizz_buzz+rename": (2,)}
    assert lengths("lc_412", "2", rename="0.5+names=9") == {"fizz_buzz+rename=0.5+names=9": (2,)}
    assert lengths("test", "5") == lengths("held-out", "5")
    with pytest.raises(UserError, match="task fizz_buzz is named twice"):
        read_tasks("lc_412:2,fizz_buzz:3", None)


def test_task_names():
    assert task_names("add_int, coin_flip") == ["add_int", "coin_flip"]
    assert task_names("held-out") == task_names("test") == list_tasks(role="held-out")
    assert task_names("pretrain/logic") == task_names("train/logic") == list_tasks(role="pretrain", family="logic")
