"""One evaluation by several processes of one machine, each with GPUs of its own and a part of the questions."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.common.processes import end_with_parent
from megatron_rfft.common.restart import Part
from megatron_rfft.evaluation.run_folder import shard_path


def answer_in_replicas(command: Sequence[str], replicas: int, gpus_each: int, output: Path) -> None:
    """Run ``command`` once for each part I of ``replicas``, with ``--shard I/N`` added, and wait for all.

    On a machine with GPUs, each process sees ``gpus_each`` of those that this one sees. What a process writes goes to
    a log beside the folder of its part. All end with this process. Raises UserError if there are too few GPUs,
    CommandFailed if a part is not finished: the others are, and the next run continues it.
    """
    visible = _visible_gpus()
    if visible and len(visible) < replicas * gpus_each:
        raise UserError(
            f"{replicas} replicas of {gpus_each} GPU{'s' * (gpus_each > 1)} each need {replicas * gpus_each}, "
            f"{len(visible)} are visible; lower --replicas or --tensor-parallel"
        )
    started = []
    for number in range(replicas):
        environment = dict(os.environ)
        if visible:
            own = visible[number * gpus_each : (number + 1) * gpus_each]
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(own)
        log = shard_path(output, Part(number, replicas)).with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        words = [*command, "--shard", f"{number}/{replicas}"]
        with log.open("wb") as handle:
            process = subprocess.Popen(
                words, env=environment, stdout=handle, stderr=subprocess.STDOUT, preexec_fn=end_with_parent
            )
        started.append((number, process, log))
    failed = _wait(started)
    if failed:
        number, code, log = failed[0]
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it wrote nothing"]
        raise CommandFailed(
            f"replica {number}/{replicas} ended with exit code {code}: {last[0][-300:]} (all of it: {log}); "
            "run the same command again to continue"
        )


def _wait(started: list[tuple[int, subprocess.Popen, Path]]) -> list[tuple[int, int, Path]]:
    """Say of each process when it ends; those that failed."""
    failed, running = [], list(started)
    while running:
        for entry in list(running):
            number, process, log = entry
            if (code := process.poll()) is not None:
                running.remove(entry)
                failed += [(number, code, log)] if code else []
                print(f"replica {number}/{len(started)}: {'failed' if code else 'finished'}", file=sys.stderr)
        time.sleep(0.1)
    return failed


def _visible_gpus() -> list[str]:
    """Names of the GPUs that this process sees, as CUDA_VISIBLE_DEVICES wants them; none on a CPU."""
    if listed := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return listed.split(",")
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
