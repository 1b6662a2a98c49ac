"""The near twins are extras, each of a held-out task."""

from megatron_rfft.tasks import list_tasks
from megatron_rfft.tasks.twins import NEAR_TWINS


def test_near_twins_are_extras_of_held_out_tasks():
    assert NEAR_TWINS.keys() <= set(list_tasks(split="extra"))
    assert set(NEAR_TWINS.values()) <= set(list_tasks(split="test"))
