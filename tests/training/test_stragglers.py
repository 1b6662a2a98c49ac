"""The rank that is slow is named, although all ranks take equally long together."""

import json
import statistics
import sys
import threading
import time
import types

import pytest

from megatron_rfft.training.callbacks.watchdog import position
from megatron_rfft.training.slowest import in_words, slowest
from megatron_rfft.training.waiting import Waiting
from tests.conftest import ROOT, torchrun
from tests.training.straggler_worker import LAYOUTS, SLEEP


@pytest.fixture(scope="module")
def folder(config_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stragglers")
    torchrun(2, ROOT / "tests/training/straggler_worker.py", config_file, folder)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_rank_that_is_slowed_shows_in_what_each_computes_by_itself(folder, layout):
    rows = [json.loads(line) for line in (folder / layout / "ranks.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 3, 4, 5, 6]
    assert {row["rank"] for row in rows} == {1}
    # The least that it sleeps in a step, for it may have several micro-batches.
    assert statistics.median(row["ranks"][1] - row["ranks"][0] for row in rows) > 0.8 * SLEEP
    assert in_words(rows[-1]).startswith("rank 1 (")


def test_ranks_are_compared_within_their_stage():
    """The last stage has the vocabulary's matrix, too: it takes longer, and nothing is wrong with it."""
    row = slowest([1.0, 1.0, 1.2, 3.0, 3.0, 3.1], [0, 0, 0, 1, 1, 1], list("abcdef"))
    assert row == {"rank": 2, "host": "c", "seconds": 1.2, "median": 1.0, "ratio": 1.2}
    assert in_words(row) == "rank 2 (c) computes 1.20 x as long as the median"
    assert in_words(slowest([1.0, 1.05], [0, 0], ["a", "a"])) == in_words({}) == ""


def test_a_wait_that_is_measured_is_seen_as_a_wait():
    """The watchdog tells who waits from who is stuck, in such a step too."""
    lock = threading.Lock()
    work = types.SimpleNamespace(wait=Waiting().timed(lock.acquire))  # waits in C, as a collective does

    def wait_for_others():
        work.wait()

    with lock:
        thread = threading.Thread(target=wait_for_others)
        thread.start()
        while not (frame := sys._current_frames().get(thread.ident)) or frame.f_code.co_name != "on_cpu":
            time.sleep(0.01)
        _, waits = position(frame)
    thread.join()
    assert waits
