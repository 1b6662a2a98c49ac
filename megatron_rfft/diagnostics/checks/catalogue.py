"""The checks by name (``section-shape-precision``), those that tell most per minute first, and their goals."""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from megatron_rfft.diagnostics.checks.settings import FP8, PRECISIONS, Settings

Check = Callable[[Settings], dict[str, Any]]

SHAPES = ("7b", "32b")
GOALS = {
    "mfu": "MFU of the 32B shapes in BF16 at least 0.50",
    "fp8_speedup": f"the faster of {' and '.join(FP8)} FP8 at least 1.35 times BF16's tokens a second, 32B shapes",
    "numerics": "every FP8 layer within its bound of FP32, FP32 losses those of a CPU",
    "kernels": "FP8 products where FP8 is configured, none in BF16",
    "resume": "a killed and resumed run equals a whole one bit for bit, in every precision",
    "memory": "peak memory of a rank of 64 within 5 % of the plan",
}


def catalogue() -> dict[str, Check]:
    """Every check. Its code is imported when it is called, since that loads megatron-core."""
    checks: dict[str, Check] = {"golden": partial(_call, "numerics", "check_golden")}
    for precision in PRECISIONS:
        checks[f"linear-{precision}"] = partial(_call, "numerics", "check_linear", precision)
    for precision in PRECISIONS:
        checks[f"step-{precision}"] = partial(_call, "numerics", "check_step", precision)
        checks[f"kernels-{precision}"] = partial(_call, "kernels", "check_kernels", precision)
    for shape in reversed(SHAPES):
        for precision in PRECISIONS:
            checks[f"speed-{shape}-{precision}"] = partial(_call, "speed", "check_speed", shape, precision)
    for kind in ("long", "adapters"):
        for precision in PRECISIONS:
            checks[f"{kind}-32b-{precision}"] = partial(_call, "speed", f"check_{kind}", precision)
    for precision in FP8:
        checks[f"memory-32b-tp8-{precision}"] = partial(_call, "memory", "check_memory", "tp8", precision)
    for precision in PRECISIONS:
        checks[f"losses-{precision}"] = partial(_call, "runs", "check_losses", precision)
    checks["small-100m-bf16"] = partial(_call, "speed", "check_small", "bf16")
    checks["generation"] = partial(_call, "generation", "check_generation")
    for shape in SHAPES:
        checks[f"products-{shape}"] = partial(_call, "speed", "check_products", shape)
    for precision in PRECISIONS:
        checks[f"resume-{precision}"] = partial(_call, "runs", "check_resume", precision)
    for layout in ("tp8", "tp4-pp4", "tp2-pp8"):
        checks[f"memory-32b-{layout}"] = partial(_call, "memory", "check_memory", layout, "bf16")
    return checks


def sections() -> list[str]:
    """The first word of the checks' names."""
    return list(dict.fromkeys(name.split("-")[0] for name in catalogue()))


def matching(word: str) -> list[str]:
    """The checks that are called ``word`` or whose names begin with it: a section, or part of one."""
    return [name for name in catalogue() if name == word or name.startswith(f"{word}-")]


def _call(module: str, function: str, *arguments: Any) -> dict[str, Any]:
    """``partial`` puts the settings last: ``_call(module, function, *arguments, settings)``."""
    import importlib

    import megatron_rfft.mcore  # noqa: F401  (first: where there is no GPU, its CPU layer answers for torch.cuda)

    *rest, settings = arguments
    return getattr(importlib.import_module(f"megatron_rfft.diagnostics.checks.{module}"), function)(settings, *rest)


def summarize(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the finished checks say about the goals; a goal is None while nothing was measured for it."""
    done = {name: row["result"] for name, row in results.items() if row["status"] == "ok"}

    def all_of(key: str, *starts: str) -> bool | None:
        told = [result[key] for name, result in done.items() if name.startswith(starts) and key in result]
        return all(told) if told else None

    speed = {name.removeprefix("speed-"): result for name, result in done.items() if name.startswith("speed-")}
    speedups = {
        name: round(result["tokens_per_second"] / speed[f"{shape}-bf16"]["tokens_per_second"], 3)
        for name, result in speed.items()
        if not name.endswith("-bf16") and f"{(shape := name.split('-')[0])}-bf16" in speed
    }
    best = [ratio for name, ratio in speedups.items() if name in [f"32b-{recipe}" for recipe in FP8]]
    mfu = speed.get("32b-bf16", {}).get("mfu")
    return {
        "loss_gaps": _loss_gaps(done),
        "speedups_over_bf16": speedups,
        "goals": {
            "mfu": None if mfu is None else mfu >= 0.5,
            "fp8_speedup": max(best) >= 1.35 if best else None,
            "numerics": all_of("within", "linear", "golden"),
            "kernels": all_of("as_expected", "kernels"),
            "resume": all_of("bit_equal", "resume"),
            "memory": all_of("within", "memory"),
        },
    }


def _loss_gaps(done: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By FP8 recipe against BF16: relative gap of the tail's loss, and the mean absolute gap over all steps."""
    if (base := done.get("losses-bf16")) is None:
        return {}
    gaps = {}
    for name, result in done.items():
        if name.startswith("losses-") and name != "losses-bf16" and result["steps"] == base["steps"]:
            differences = [abs(a - b) for a, b in zip(result["losses"], base["losses"], strict=True)]
            gaps[name.removeprefix("losses-")] = {
                "tail_relative": round(result["tail_loss"] / base["tail_loss"] - 1, 5),
                "mean_absolute": round(statistics.mean(differences), 5),
            }
    return gaps
