"""After a failed start of a job: which rank failed first, of what, and the lines that matter, on one page."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from megatron_rfft.common.cli import EXIT_HUNG
from megatron_rfft.common.files import read_json, write_json

CLASSES = {
    "out of memory": r"OutOfMemoryError|CUDA out of memory|Cannot allocate memory|MemoryError|oom[-_ ]?kill",
    "node": r"uncorrectable .*(?:ECC|NVLink)|GPU is lost|fallen off the bus|Xid\W{1,4}(?:48|63|64|74|79|9[245])\b",
    "GPU code": r"CUDA error: (?:unspecified launch|an illegal|device-side)",
    "file system": r"No space left|no room to write|Stale file handle|Input/output error|Read-only file system|quota",
    "data": r"is damaged|another checksum|no such file|Error while loading the data|\.bin|\.idx",
    "network": r"NCCL (?:error|WARN)|ncclSystemError|ncclRemoteError|DistBackendError|Connection (?:reset|closed)|gloo",
    "user code": r"\b\w+(?:Error|Exception)\b",
}
"""What lines tell of each class of error, in the order in which they are believed: after one rank's failure the others
lose their connections, so the network comes late.
"""
_TROUBLE = re.compile(r"error|exception|Traceback|killed|signal|Xid|NCCL WARN", re.IGNORECASE)


_TAIL = 2 << 20
"""Bytes at the end of a node's log that are looked at."""


@dataclass(frozen=True)
class Postmortem:
    """What became of a start."""

    kind: str
    """A key of ``CLASSES``, "hang", "killed" or "unknown"."""
    host: str
    rank: int | None
    """The rank that failed first; None if no launcher saw one fail (its node was lost)."""
    exit_code: int
    lines: list[str]
    """Its last lines that speak of trouble."""
    bad_nodes: dict[str, str]
    """Nodes whose fault it is, by their Slurm names, with the reason; slurm/train.sbatch goes on without them."""

    def write(self, logs: Path) -> None:
        """Leave ``postmortem.json`` in the folder of a start's logs."""
        write_json(logs / "postmortem.json", asdict(self))

    def summary(self) -> str:
        """The class, the rank and the last lines, for the job's log."""
        where = "no process was seen to fail" if self.rank is None else f"rank {self.rank} on {self.host} failed first"
        return "\n".join([f"{self.kind}: {where}, exit code {self.exit_code}", *self.lines[-5:]])


def examine(logs: Path, code: int) -> Postmortem:
    """Read ``failure-HOST.json`` and the nodes' logs of one start, which ended in exit code ``code``."""
    failures = [read_json(file) for file in logs.glob("failure-*.json")]
    first = min(failures, key=lambda failure: failure["time"], default=None)
    host = first["host"] if first else "unknown"
    texts = {file.stem: _tail(file) for file in sorted(logs.glob("*.log"))}
    seen = texts.get(host.partition(".")[0], "".join(texts.values()))
    lines = _own_lines(seen, first["rank"]) if first else seen.splitlines()
    trouble = [line for line in lines if _TROUBLE.search(line)]
    code = first["exit_code"] if first else code
    kind = _kind(trouble, code)
    bad = {first["node"]: _reason(trouble)} if first and kind == "node" else {}
    return Postmortem(kind, host, first["rank"] if first else None, code, trouble[-15:], bad)


def _reason(lines: list[str]) -> str:
    """The line that blames the node."""
    return next(line for line in reversed(lines) if re.search(CLASSES["node"], line)).strip()[-200:]


def _tail(file: Path) -> str:
    with file.open("rb") as handle:
        handle.seek(max(0, file.stat().st_size - _TAIL))
        return handle.read().decode("utf-8", errors="replace")


def _own_lines(text: str, rank: int) -> list[str]:
    """The lines of a rank's process; all, if there are none."""
    marked = [line for line in text.splitlines() if line.startswith(f"[rank{rank}]:")]
    return marked or text.splitlines()


def _kind(lines: list[str], code: int) -> str:
    if code == EXIT_HUNG:
        return "hang"
    text = "\n".join(lines)
    for kind, pattern in CLASSES.items():
        if re.search(pattern, text):
            return kind
    return "killed" if code in (137, 143) else "unknown"
