"""Where the wall time of a run went, over several starts."""

import pytest

from megatron_rfft.training.goodput import IN_STEPS, WallTime, in_words, seconds_left

STEPS = dict.fromkeys(IN_STEPS, 0.0)


def line(wall: WallTime, step: int, time: float) -> dict:
    """A line of metrics.jsonl."""
    return {"step": step, "time": time, "goodput": wall.goodput, "wall": wall.as_dict(), "seconds_per_step": 2.0}


def test_a_start_after_a_kill_counts_the_pause_and_the_steps_done_again():
    wall = WallTime()
    wall.add(STEPS | {"train": 80.0, "checkpoint": 20.0})
    kept = line(wall, 10, time=1100.0)
    wall.add(STEPS | {"train": 60.0})
    last = line(wall, 16, time=1160.0)
    after = WallTime.resumed(last, kept, step=10, now=1200.0)
    assert after.seconds == STEPS | {"train": 80.0, "checkpoint": 20.0, "again": 60.0, "restart": 40.0}
    assert (after.restarts, after.steps_again, after.goodput) == (1, 6, 0.4)
    words = "goodput 40.0% (again 30.0%, restart 20.0%, checkpoint 10.0%, 6 steps done again)"
    assert in_words(line(after, 10, 1200.0)) == words
    # Ended by a signal, and continued from its last step.
    again = WallTime.resumed(*[line(after, 10, 1200.0)] * 2, step=10, now=1300.0)
    assert (again.seconds["restart"], again.seconds["again"], again.restarts) == (140.0, 60.0, 2)


def test_a_run_without_a_checkpoint_begins_again():
    wall = WallTime()
    wall.add(STEPS | {"train": 9.0, "other": 1.0})
    after = WallTime.resumed(line(wall, 5, time=20.0), {}, step=0, now=25.0)
    assert (after.seconds["again"], after.seconds["restart"], after.steps_again) == (10.0, 5.0, 5)
    assert WallTime.resumed({}, {}, step=0, now=0.0) == WallTime()


def test_the_time_left_counts_what_lies_between_steps_but_no_restarts():
    wall = WallTime()
    wall.add(STEPS | {"train": 70.0, "data": 10.0, "validation": 20.0})
    wall.add({"restart": 500.0})
    assert seconds_left(line(wall, 50, 0.0), 10) == pytest.approx(25.0)
    old = {"step": 5, "seconds_per_step": 2.0}
    assert (seconds_left(old, 10), in_words(old)) == (20.0, "")
