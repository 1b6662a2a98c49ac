"""Options that commands share: one spelling for tasks and for parts of the work."""

import pytest

from megatron_rfft.commands.options import read_shard, read_tasks
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restart import Part
from megatron_rfft.tasks import list_tasks


def test_tasks_have_lengths_of_their_own_or_the_common_ones():
    found = read_tasks("coin_flip:1-3,8, length_int", "2-6:2")
    assert found == {"coin_flip": (1, 2, 3, 8), "length_int": (2, 4, 6)}
    assert read_tasks("lc_412:2", None) == {"fizz_buzz": (2,)}
    assert read_tasks("test", "5") == dict.fromkeys(list_tasks(role="held-out"), (5,))


@pytest.mark.parametrize(
    ("tasks", "lengths", "message"),
    [
        ("coin_flip", None, "coin_flip has no lengths; give --lengths, or write coin_flip:1-10"),
        ("coin_flip:1,coin_flip:2", None, "coin_flip is named twice"),
        ("coin_flip:3-1", None, "'3-1' is empty"),
    ],
)
def test_tasks_that_cannot_be_read(tasks, lengths, message):
    with pytest.raises(UserError, match=message):
        read_tasks(tasks, lengths)


def test_parts_count_from_0_and_the_other_spelling_is_named():
    assert read_shard(None) is None
    assert read_shard("0/2") == Part(0, 2)
    with pytest.raises(UserError, match="I counts from 0; write 0/2 to 1/2, not 1/2 to 2/2"):
        read_shard("2/2")
