"""Code of others in a process of its own, which is ended where it hangs: no exception reaches every endless call."""

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.processes import end_with_parent

Report = Callable[[str], None]
"""Says what begins now."""

PATIENCE = 20.0
"""Seconds that one call of a user's code may take: thousands of times what the tasks of the package do."""


def run_apart(work: Callable[[Report], Any], patience: float | None = None, heard: Report | None = None) -> Any:
    """``work(report)`` in a fork of this process: its result, which has to be JSON values. What it changes is lost.

    ``heard`` is called here with all that is reported. Raises UserError as ``work`` does, and with the last report
    where ``patience`` seconds (by default PATIENCE) pass after it or where the process ends in the middle;
    CommandFailed for any other exception, whose traceback is printed.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work_and_exit(work, writer)
    os.close(writer)
    try:
        return _listen(reader, PATIENCE if patience is None else patience, heard)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)  # it has not been waited for: the number is still its own
        os.waitpid(child, 0)


def _listen(reader: int, patience: float, heard: Report | None) -> Any:
    last, rest = "the code", b""
    while True:
        if not select.select([reader], [], [], patience)[0]:
            raise UserError(f"{last} takes over {patience:g} seconds; it may never return: fix it, or make it faster")
        block = os.read(reader, 1 << 16)
        if not block:
            raise UserError(f"{last} has ended the process that it was tried in; fix it")
        *lines, rest = (rest + block).split(b"\n")
        for kind, value in map(json.loads, lines):
            if kind == "result":
                return value
            if kind == "refused":
                raise UserError(value)
            if kind == "failed":
                raise CommandFailed(f"{last} failed: {value}")
            last = value
            if heard:
                heard(value)


def _work_and_exit(work: Callable[[Report], Any], writer: int) -> NoReturn:
    """What the fork does. It leaves without the exit handlers, which belong to the process that it was made from."""
    end_with_parent()

    def say(kind: str, value: Any) -> None:
        message = json.dumps([kind, value]).encode() + b"\n"
        while message:
            message = message[os.write(writer, message) :]

    try:
        say("result", work(lambda what: say("begins", what)))
    except UserError as error:
        say("refused", str(error))
    except SystemExit:  # theirs: no result says that the process has ended
        pass
    except BaseException as error:
        traceback.print_exc()
        say("failed", f"{type(error).__name__}: {error}")
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)
