"""Run a command none of whose processes outlives the one that started this, however that ends.

``python -m megatron_rfft.common.supervise PARENT COMMAND...``, where PARENT is the number of the process to watch.
SIGTERM asks all processes of the command to end, and kills what is left after a while. The exit code is the command's.
Systems other than Linux have no means for that: there the command runs by itself.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_PARENT_ENDED = signal.SIGUSR1
_WATCHED = {signal.SIGCHLD, signal.SIGTERM, _PARENT_ENDED}
GRACE_SECONDS = 30.0
"""How long processes may take to save and end when they are asked to."""


def main(arguments: list[str]) -> int:
    """Run the command and wait for it; its exit code, 128 + the signal if one ended it."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform != "linux":
        os.execvp(command[0], command)
    library = ctypes.CDLL(None)
    # Orphans come here instead of to process 1: torchrun's workers, for one, have sessions of their own.
    library.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    library.prctl(_PR_SET_PDEATHSIG, _PARENT_ENDED)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    if os.getppid() != parent:  # it ended before it could be watched
        return 128 + signal.SIGKILL
    process = subprocess.Popen(command, preexec_fn=_unblock)
    deadline, code = None, None
    while code is None:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        found = signal.sigtimedwait(_WATCHED, left) if left is not None else signal.sigwaitinfo(_WATCHED)
        if found is None or found.si_signo == _PARENT_ENDED:
            break
        if found.si_signo == signal.SIGTERM:
            for child in descendants(os.getpid()):
                _send(child, signal.SIGTERM)
            deadline = deadline or time.monotonic() + GRACE_SECONDS
        code = _reap(process.pid)
    end_all()
    return 128 + signal.SIGKILL if code is None else code


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)


def _reap(wanted: int) -> int | None:
    """Collect children that have ended; the exit code of process ``wanted`` if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == wanted:
            ended = os.waitstatus_to_exitcode(status)
            code = ended if ended >= 0 else 128 - ended


def end_all() -> None:
    """Kill every process below this one, and wait until they are gone."""
    while children := descendants(os.getpid()):
        for child in children:
            _send(child, signal.SIGKILL)
        _reap(0)
        time.sleep(0.01)


def descendants(ancestor: int) -> list[int]:
    """The processes below ``ancestor``."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found, todo = [], [ancestor]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _send(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
