"""A record of checks that is written after each of them, and the processes that work it off.

Checks run in a process apart, one after the other: what ends that process (a fault in a kernel, a hang, no memory) is
noted as that check's result, and another process goes on with the next.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, write_json
from megatron_rfft.common.processes import end_with_parent
from megatron_rfft.diagnostics.checks.catalogue import GOALS, catalogue, matching, summarize
from megatron_rfft.diagnostics.checks.settings import Refused, Settings

FINISHED = ("ok", "refused")
"""What is not tried again; failed checks are."""


def open_record(path: Path, facts: dict[str, Any], again: bool) -> dict[str, Any]:
    """The record at ``path``, begun or continued. Raises UserError if it is of another machine, commit or size."""
    if not path.is_file() or again:
        return {**facts, "goals": GOALS, "checks": {}, "summary": summarize({})}
    record = read_json(path)
    for key, value in facts.items():
        if key not in ("command", "date") and record.get(key) != value:
            raise UserError(
                f"{path} has {key} {record.get(key)!r}, this run {value!r}; give another --output or --again"
            )
    return record


def pending(record: dict[str, Any], wanted: list[str]) -> list[str]:
    """Checks of the ``wanted`` names or beginnings of names that have no final result yet, in order."""
    chosen = {name for word in wanted for name in matching(word)}
    names = [name for name in catalogue() if name in chosen]
    return [name for name in names if record["checks"].get(name, {}).get("status") not in FINISHED]


def work_off(path: Path, names: list[str], settings: Settings, deadline: float, seconds: float) -> Iterator[str]:
    """Run the checks ``names`` in processes of their own until ``deadline`` (time.monotonic), each for at most
    ``seconds``; the record at ``path`` holds every result. Yields the names as they end.
    """
    left = list(names)
    while left and time.monotonic() < deadline - 1:
        process = _start(path, left, settings)
        try:
            for name in list(left):
                ended = _wait(path, name, process, min(deadline, time.monotonic() + seconds))
                left.remove(name)
                yield name
                if not ended:
                    break
        finally:
            _stop(process)


def _start(path: Path, names: list[str], settings: Settings) -> subprocess.Popen:
    root = Path(__file__).resolve().parents[3]
    search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    values = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(settings).items()}
    job = json.dumps({"record": str(path), "names": names, "settings": values})
    return subprocess.Popen(
        [sys.executable, "-m", __name__, job],
        env={**os.environ, "PYTHONPATH": search},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )


def _wait(path: Path, name: str, process: subprocess.Popen, until: float) -> bool:
    """Wait for the result of ``name``; False if the process had to be given up, which is then the result."""
    while True:
        ended = process.poll()
        if read_json(path)["checks"].get(name, {}).get("status", "running") != "running":
            return True
        if ended is not None:
            how = f"signal {signal.Signals(-ended).name}" if ended < 0 else f"exit code {ended}"
            _note(path, name, {"status": "failed", "error": f"its process ended with {how}"})
            return False
        if time.monotonic() > until:
            _note(path, name, {"status": "failed", "error": "it took longer than its time"})
            return False
        time.sleep(0.05)


def _stop(process: subprocess.Popen) -> None:
    """End the process and what it started: it leads its own session. One that has done its work ends by itself."""
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _note(path: Path, name: str, row: dict[str, Any]) -> None:
    record = read_json(path)
    record["checks"][name] = row
    record["summary"] = summarize(record["checks"])
    write_json(path, record)


def run_checks(path: Path, names: list[str], settings: Settings) -> None:
    """Run checks one after the other in this process, and note each in the record."""
    import torch

    for name in names:
        _note(path, name, {"status": "running"})
        started = time.perf_counter()
        try:
            row = {"status": "ok", "result": catalogue()[name](settings)}
        except Refused as error:
            row = {"status": "refused", "reason": str(error)}
        except Exception as error:
            traceback.print_exc()
            row = {"status": "failed", "error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        _note(path, name, {**row, "seconds": round(time.perf_counter() - started, 1)})
        gc.collect()  # a trainer is full of reference cycles, which hold gigabytes of the GPU's memory
        torch.cuda.empty_cache()


def main() -> None:
    """Work off the job on the command line."""
    end_with_parent()
    job = json.loads(sys.argv[1])
    values = job["settings"]
    values["work"], values["data"] = Path(values["work"]), values["data"] and Path(values["data"])
    run_checks(Path(job["record"]), job["names"], Settings(**values))


if __name__ == "__main__":
    main()
