"""The run's file system: what checkpoints and locks rely on, tried out in a folder of its own."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from megatron_rfft.common.files import atomic_write
from megatron_rfft.diagnostics.doctor.findings import Finding, Status

_NAME = "file system"
_LOCK = """
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(7)
"""
_REFUSED = 7


def check_file_system(path: Path) -> Finding:
    """Write, sync, rename and lock below ``path``; two processes must not get one lock."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".doctor-", dir=path))
    except OSError as error:
        return Finding(_NAME, Status.FAIL, f"{path}: {error.strerror}", "give a folder that can be written with --path")
    try:
        return _exercise(path, folder)
    except OSError as error:
        return Finding(
            _NAME,
            Status.FAIL,
            f"{path}: {error.strerror or error}",
            "keep runs on another file system, give it by --path",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exercise(path: Path, folder: Path) -> Finding:
    started = time.perf_counter()
    for content in ("first", "second"):
        with atomic_write(folder / "file") as handle:
            handle.write(content)
    seconds = (time.perf_counter() - started) / 2
    if (folder / "file").read_text() != "second":
        return Finding(_NAME, Status.FAIL, f"{path}: a rename did not replace the file", "keep runs elsewhere")
    (folder / "half").mkdir()
    (folder / "half").rename(folder / "whole")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = subprocess.run([sys.executable, "-c", _LOCK, str(folder / "lock")], timeout=60)
    if other.returncode != _REFUSED:
        return Finding(
            _NAME,
            Status.WARN,
            f"{path}: locks are not kept (two runs could write one folder)",
            "mount it with flock support, and never start a run twice",
        )
    free = shutil.disk_usage(folder).free / 2**30
    found = f"{path}: a durable write takes {seconds * 1e3:.0f} ms, {free:,.0f} GiB free"
    if os.statvfs(folder).f_favail == 0 and os.statvfs(folder).f_files:
        return Finding(_NAME, Status.FAIL, f"{path}: no inodes are free", "remove files, or give another --path")
    return Finding(_NAME, Status.OK, found)
