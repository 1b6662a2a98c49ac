"""The files of a made-up training run, for tests of what reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

PARTS = ("train", "data", "checkpoint", "validation", "other")
STEP_SECONDS = 2.0
BEGAN = 1_800_000_000.0


def write_run(
    folder: Path,
    last: int = 40,
    steps: int = 60,
    restart_at: int | None = None,
    stopped: str = "",
    tasks: Sequence[str] = ("coin_flip", "length_int"),
    **changed: Any,
) -> Path:
    """A run that has done ``last`` of ``steps`` steps and logged every tenth; a start ended after ``restart_at``.

    It ended by the signal ``stopped``, or without a word; then 5 steps were done again. ``changed`` are keys of every
    line of ``metrics.jsonl``; a key that is None is left out.
    """
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"run": {"steps": steps}, "validation": {"data": []}}))
    seconds, restarts, again, now = dict.fromkeys((*PARTS, "restart", "again"), 0.0), 0, 0, BEGAN
    metrics, losses = [], []
    for step in range(10, last + 1, 10):
        spent = dict(zip(PARTS, (16.0, 1.0, 2.0, 0.0, 1.0), strict=True))
        seconds = {name: value + spent.get(name, 0.0) for name, value in seconds.items()}
        now += 10 * STEP_SECONDS
        row = {"step": step, "steps": 10, "loss": 4.0 / step, "grad_norm": 1.5, "lr": 1e-3, "skipped": 0}
        row |= {"tokens_per_second": 1234.0, "mfu": None, "memory_gib": 0.0, "seconds_per_step": 1.7}
        row |= {"wall_seconds_per_step": STEP_SECONDS, **{f"{name}_seconds": value for name, value in spent.items()}}
        row |= {"goodput": seconds["train"] / sum(seconds.values()), "time": now}
        row |= {"wall": {"seconds": dict(seconds), "restarts": restarts, "steps_again": again}, **changed}
        metrics.append({key: value for key, value in row.items() if value is not None or key == "mfu"})
        table = {task: {"1": [4.0 / step, 30], "12": [8.0 / step, 10]} for task in tasks}
        losses.append({"step": step, "steps": 10, "tasks": table})
        if step == restart_at:
            metrics[-1] |= {"stopped": stopped} if stopped else {}
            seconds["restart"] += 300
            seconds["again"] += 0 if stopped else 5 * STEP_SECONDS
            restarts, again = restarts + 1, again + (0 if stopped else 5)
            now += 300 + (0 if stopped else 5 * STEP_SECONDS)
    for name, rows in {"metrics": metrics, "losses": losses}.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder
