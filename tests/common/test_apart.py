"""Work in a process of its own: its result, its errors, and what is told while it runs."""

import os
import time

import pytest

from megatron_rfft.common.apart import run_apart
from megatron_rfft.common.errors import CommandFailed, UserError


def test_the_result_comes_back_and_nothing_else_changes():
    changed = []

    def work(report):
        changed.append(1)
        report("a part")
        return {"number": 10**30, "text": "ä\ud800\n" * 50_000, "elsewhere": os.getpid()}

    heard = []
    result = run_apart(work, heard=heard.append)
    assert (result["number"], result["text"]) == (10**30, "ä\ud800\n" * 50_000)
    assert result["elsewhere"] != os.getpid()
    assert (changed, heard) == ([], ["a part"])


def test_an_error_of_the_work_is_an_error_here(capfd):
    def refuse(report):
        raise UserError("bad input; fix it")

    def fail(report):
        report("the second part")
        raise ZeroDivisionError("by 0")

    with pytest.raises(UserError, match=r"^bad input; fix it$"):
        run_apart(refuse)
    with pytest.raises(CommandFailed, match=r"^the second part failed: ZeroDivisionError: by 0$"):
        run_apart(fail)
    assert "in fail" in capfd.readouterr().err


def test_patience_is_for_each_part_and_leaves_no_process():
    def work(report):
        for number in range(4):
            report(f"part {number} of {os.getpid()}")
            time.sleep(0.6 if number < 3 else 60)

    heard = []
    with pytest.raises(UserError, match=r"^part 3 of \d+ takes over 1.5 seconds; it may never return"):
        run_apart(work, patience=1.5, heard=heard.append)
    with pytest.raises(ProcessLookupError):
        os.kill(int(heard[0].split()[-1]), 0)
