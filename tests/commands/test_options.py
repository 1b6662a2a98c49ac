"""Options that commands share: lengths of tasks, parts of the work."""

import pytest

from megatron_rfft.commands.options import read_lengths, read_shard
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.restart import Part


def test_an_evaluation_asks_lengths_that_a_task_lacks_and_takes_no_shares():
    assert read_lengths("coin_flip:1-3,70", None) == {"coin_flip": (1, 2, 3, 70)}
    with pytest.raises(UserError, match="have shares, which only a corpus takes"):
        read_lengths("coin_flip:1-3:0.9,4:0.1", None)


def test_parts_count_from_0_and_the_other_spelling_is_named():
    assert read_shard(None) is None
    assert read_shard("0/2") == Part(0, 2)
    with pytest.raises(UserError, match="I counts from 0; write 0/2 to 1/2, not 1/2 to 2/2"):
        read_shard("2/2")
