"""Where a run's wall time goes: to training, or to what keeps it from that; over all its starts."""

from dataclasses import dataclass, field
from typing import Any

TRAIN, DATA, CHECKPOINT, VALIDATION, OTHER = "train", "data", "checkpoint", "validation", "other"
RESTART, AGAIN = "restart", "again"
IN_STEPS = (TRAIN, DATA, CHECKPOINT, VALIDATION, OTHER)
"""What the time between two steps is made of."""
_SHOWN = 0.005
"""The least share of the time that is told of in words."""


@dataclass
class WallTime:
    """Seconds of a run since its first step, by what they went to; the sum is the wall time.

    ``restart`` goes from the last line of a start before to the first step of the next one, with the steps that no line
    tells of and the wait in a queue. ``again`` is what was spent on steps that no checkpoint held.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*IN_STEPS, RESTART, AGAIN), 0.0))
    restarts: int = 0
    """Starts that continued another one."""
    steps_again: int = 0
    """Steps on record that were done once more."""

    @classmethod
    def resumed(cls, last: dict[str, Any], kept: dict[str, Any], step: int, now: float) -> "WallTime":
        """Of a run that goes on after ``step`` at the time ``now`` (Unix seconds).

        ``last`` is the last line of ``metrics.jsonl`` that the start before wrote, ``kept`` the last one up to
        ``step``; {} where there is none, or where an older version wrote it.
        """
        if "wall" not in last:
            return cls()
        before = kept["wall"] if "wall" in kept else cls().as_dict()
        spent = cls(dict(before["seconds"]), before["restarts"] + 1, before["steps_again"])
        spent.seconds[AGAIN] += max(0.0, sum(last["wall"]["seconds"].values()) - sum(before["seconds"].values()))
        spent.seconds[RESTART] += max(0.0, now - last["time"])
        spent.steps_again += max(0, last["step"] - step)
        return spent

    def add(self, seconds: dict[str, float]) -> None:
        """Count what the steps since the line before took."""
        for name, value in seconds.items():
            self.seconds[name] += value

    @property
    def goodput(self) -> float:
        """The share of the wall time that went to training steps, the wait for their data left out."""
        return self.seconds[TRAIN] / (sum(self.seconds.values()) or 1.0)

    def as_dict(self) -> dict[str, Any]:
        """As a line of ``metrics.jsonl`` has it."""
        seconds = {name: round(value, 3) for name, value in self.seconds.items()}
        return {"seconds": seconds, "restarts": self.restarts, "steps_again": self.steps_again}


def in_words(row: dict[str, Any]) -> str:
    """The goodput of a line of ``metrics.jsonl`` and what took the rest; empty for a line of an older version."""
    if "wall" not in row:
        return ""
    seconds = row["wall"]["seconds"]
    total = sum(seconds.values()) or 1.0
    losses = {name: value / total for name, value in seconds.items() if name != TRAIN and value / total >= _SHOWN}
    words = [f"{name} {share:.1%}" for name, share in sorted(losses.items(), key=lambda item: -item[1])]
    if again := row["wall"]["steps_again"]:
        words.append(f"{again} steps done again")
    return f"goodput {row['goodput']:.1%}" + (f" ({', '.join(words)})" if words else "")


def seconds_left(row: dict[str, Any], steps: int) -> float:
    """How long ``steps`` more take at the speed of a line, with what the run spends between its steps."""
    training = steps * row["seconds_per_step"]
    if "wall" not in row:
        return training
    seconds = row["wall"]["seconds"]
    return training * sum(seconds[name] for name in IN_STEPS) / ((seconds[TRAIN] + seconds[DATA]) or 1.0)
