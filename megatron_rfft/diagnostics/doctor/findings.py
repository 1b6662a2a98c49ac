"""One line of the doctor's report, and which lines a purpose needs."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Status(StrEnum):
    """ok: works; warn: works, but look at it; fail: broken; absent: not installed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    ABSENT = "absent"


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    status: Status
    found: str
    """What is there, or why it does not work; one line."""
    fix: str = ""
    """What to do about it; empty where nothing is to be done."""

    def as_dict(self) -> dict[str, str]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, values: dict[str, str]) -> "Finding":
        """Undo :meth:`as_dict`."""
        return cls(values["name"], Status(values["status"]), values["found"], values["fix"])


@dataclass(frozen=True)
class Purpose:
    """What a kind of machine is for."""

    needed: tuple[str, ...]
    """Checks that must pass."""
    optional: tuple[str, ...] = ()
    """Checks that are run as well: what they look at may be absent, but not broken."""


PURPOSES = {
    "train-gpu": Purpose(
        (
            "python",
            "torch",
            "gpu",
            "megatron-core",
            "training step",
            "transformer-engine",
            "FP8 linear layer",
            "fused weight gradient",
            "collectives",
            "tokenizer engines",
            "file system",
        ),
        ("apex", "nemo-toolkit"),
    ),
    "train-cpu": Purpose(
        (
            "python",
            "torch",
            "megatron-core",
            "training step",
            "collectives",
            "tokenizer engines",
            "file system",
        ),
        ("apex", "transformer-engine", "nemo-toolkit"),
    ),
    "eval": Purpose(("python", "torch", "vllm", "vllm import", "tokenizer engines", "file system"), ("gpu",)),
    "data": Purpose(("python", "tokenizer engines", "file system")),
}


def healthy(findings: list[Finding], purpose: str) -> bool:
    """Nothing is broken, and what ``purpose`` needs is there."""
    needed = PURPOSES[purpose].needed
    return not any(
        finding.status == Status.FAIL or (finding.status == Status.ABSENT and finding.name in needed)
        for finding in findings
    )


def format_findings(findings: list[Finding], purpose: str) -> str:
    """A line a check, below it what to do where something is to be done; ``*`` marks what ``purpose`` needs."""
    needed = PURPOSES[purpose].needed
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        mark = "*" if finding.name in needed else " "
        lines.append(f"{finding.status:<6} {mark} {finding.name:<{width}}  {finding.found}")
        if finding.fix and (finding.status != Status.ABSENT or finding.name in needed):
            lines.append(f"{'':<9}{'':<{width}}  -> {finding.fix}")
    return "\n".join(lines)
