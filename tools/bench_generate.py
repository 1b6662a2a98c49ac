#!/usr/bin/env python3
"""Benchmark of data_prep/generate.py: the whole command, sampling, tracing and writing, beside reasoning-gym.

Random rules, each drawn, tried out and traced for one example only, are measured on their own (form lean). All run in
this process's environment, one after the other, on one core each; the figures are per second of CPU time, so that a
busy machine changes little, and the ratio compares like with like. With --against, our corpora alone are made, in
turns with a checkout of another commit.
"""

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import corpus_config, load_preset
from megatron_rfft.tasks import NoInstanceError, load_task

ROOT = Path(__file__).resolve().parents[1]

# Tasks of reasoning-gym that are nearest to ours: algorithmic, generated without solving hard puzzles.
PEERS = ("basic_arithmetic", "caesar_cipher", "chain_sum", "count_bits", "letter_counting", "spell_backward")
RANDOM = ("random_strings+digits", "random_strings", "random_lists")
_PEER_SCRIPT = """
import json, sys, time
import reasoning_gym
names, count = sys.argv[1].split(","), int(sys.argv[2])
started, size, items = time.process_time(), 0, 0
for name in names:
    for item in reasoning_gym.create_dataset(name, size=count, seed=1):
        size += len(json.dumps(item, default=str)) + 1
        items += 1
print(json.dumps({"cpu_seconds": time.process_time() - started, "items": items, "bytes": size}))
"""


def measure_ours(*options: str, checkout: Path = ROOT) -> dict[str, Any]:
    """Run the command with one worker and these options: CPU seconds of the process, records and bytes of shards."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, checkout / "data_prep/generate.py", *options, "--output", folder]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.DEVNULL, env=environment)
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - started
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        size = sum(entry["bytes"] for entry in manifest["files"].values())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    checksums = sorted(entry["sha256"] for entry in manifest["files"].values())
    made = {"items": manifest["counts"]["records"], "bytes": size, "sha256": _sha256("".join(checksums))}
    return {"cpu_seconds": cpu, "wall_seconds": wall, **made}


def compare(jobs: dict[str, list[str]], other: Path, rounds: int) -> dict[str, Any]:
    """Each job here and in the checkout ``other``, by turns: both rates of the fastest round, and how they compare.

    Turns, since what else the machine does slows both down alike; ``same_bytes`` says whether the corpora are equal.
    """
    commit = subprocess.run(["git", "-C", other, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    compared: dict[str, Any] = {"commit": commit.stdout.strip()}
    for name, options in jobs.items():
        turns = [[measure_ours(*options, checkout=root) for root in (other, ROOT)] for _ in range(rounds)]
        theirs, ours = (min(runs, key=lambda run: run["cpu_seconds"]) for runs in zip(*turns, strict=True))
        compared[name] = {
            "items": ours["items"],
            "theirs_per_cpu_second": round(theirs["items"] / theirs["cpu_seconds"]),
            "ours_per_cpu_second": round(ours["items"] / ours["cpu_seconds"]),
            "ratio": round(theirs["cpu_seconds"] / ours["cpu_seconds"], 2),
            "ratios_of_rounds": [round(old["cpu_seconds"] / new["cpu_seconds"], 2) for old, new in turns],
            "same_bytes": theirs["sha256"] == ours["sha256"],
        }
    return compared


def measure_traces(preset: str) -> dict[str, float]:
    """The traces alone, of a few examples of each task and length: what the rest of the command comes on top of."""
    config = corpus_config(load_preset(preset))
    calls = []
    for name, length, _ in config.cells():
        task = load_task(name)
        for index in range(3):
            try:
                problem, _ = task.draw(config.split, length, index)
            except NoInstanceError:
                break
            problem.rule.trace(*problem.arguments)  # makes the traced function, once a rule
            calls.append((problem.rule.trace, problem.arguments))
    started = time.process_time()
    size = sum(len(trace(*arguments).text) for trace, arguments in calls)
    return {"cpu_seconds": time.process_time() - started, "items": len(calls), "bytes": size}


def measure_peer(count: int) -> dict[str, float]:
    """The same of reasoning-gym, its items written as JSON; CPU seconds without its import."""
    done = subprocess.run(
        [sys.executable, "-c", _PEER_SCRIPT, ",".join(PEERS), str(count)], capture_output=True, text=True
    )
    if done.returncode:
        raise UserError(f"reasoning-gym does not run ({done.stderr.strip()[-200:]}); pip install reasoning-gym")
    return json.loads(done.stdout)


def rates(measured: dict[str, float]) -> dict[str, float]:
    """Items and megabytes (10**6) per CPU second, with what was measured."""
    seconds = measured["cpu_seconds"]
    return {
        **measured,
        "items_per_cpu_second": round(measured["items"] / seconds),
        "mb_per_cpu_second": round(measured["bytes"] / seconds / 1e6, 1),
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    parser = make_parser(__doc__, "python tools/bench_generate.py --json")
    parser.add_argument("--preset", default="rf-pretrain", help="preset to write")
    parser.add_argument("--samples", type=int, help="examples per task and length, instead of the preset's")
    parser.add_argument("--random-items", type=int, default=2000, help="random rules of each length 1-16; 0: skip")
    parser.add_argument("--peer-items", type=int, default=5000, help="items of each of reasoning-gym's tasks; 0: skip")
    parser.add_argument("--against", type=Path, help="checkout of another commit: nothing but its speed beside ours")
    parser.add_argument("--rounds", type=int, default=2, help="with --against: turns of each of the two")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    samples = [] if options.samples is None else ["--samples", str(options.samples)]
    jobs = {"ours": ["--preset", options.preset, *samples]}
    for name in RANDOM if options.random_items else ():
        jobs[name] = ["--tasks", f"{name}:1-16", "--samples", str(options.random_items), "--form", "lean"]
    if options.against:
        print(json.dumps(compare(jobs, options.against.resolve(), options.rounds), indent=2))
        return
    result = {"ours": rates(measure_ours(*jobs.pop("ours")))}
    result["traces_alone"] = rates(measure_traces(options.preset))
    whole, alone = (result[name]["items_per_cpu_second"] for name in ("ours", "traces_alone"))
    result["share_of_traces"] = round(whole / alone, 2)
    result |= {name: rates(measure_ours(*job)) for name, job in jobs.items()}
    if options.peer_items:
        result["reasoning_gym"] = rates(measure_peer(options.peer_items))
        ours, peer = (result[name]["mb_per_cpu_second"] for name in ("ours", "reasoning_gym"))
        result["ratio_of_mb"] = round(ours / peer, 2)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name in ("ours", "traces_alone", *RANDOM, "reasoning_gym"):
        if name in result:
            row = result[name]
            print(
                f"{name}: {row['items_per_cpu_second']:,} items/s, {row['mb_per_cpu_second']} MB/s per core "
                f"({row['items']:,} items, {row['cpu_seconds']:.1f} s of CPU)"
            )
    print(f"share of the traces in the whole command's time: {result['share_of_traces']}")
    if "ratio_of_mb" in result:
        print(f"ratio of MB/s: {result['ratio_of_mb']}")


if __name__ == "__main__":
    run_command(main)
