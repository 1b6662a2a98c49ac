#!/usr/bin/env python3
"""Check and measure training on one GPU: numbers, FP8 kernels, speed, memory, resume and loss curves, in one record.

The record is written after every check, so that an interrupted run is continued by the same command; a check that fails
is noted and the next one runs. On a CPU with --tiny every check's code runs on toy shapes, FP8 is refused with the
reason, and the figures mean nothing.
"""

import json
import os
import shlex
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import write_json
from megatron_rfft.diagnostics.checks.catalogue import matching, sections
from megatron_rfft.diagnostics.checks.provenance import commit
from megatron_rfft.diagnostics.checks.record import open_record, pending, work_off
from megatron_rfft.diagnostics.checks.settings import Settings
from megatron_rfft.diagnostics.doctor.versions import version_of


def main() -> int:
    """Run what is still to be done, print the record; 1 if a check failed or a goal was missed."""
    options = _arguments()
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # for the processes that run the checks, and for _facts
    wanted = options.sections.split(",") if options.sections else sections()
    if unknown := [word for word in wanted if not matching(word)]:
        raise UserError(f"--sections: no check is {unknown[0]!r} or begins so; sections are {', '.join(sections())}")
    record = open_record(options.output, _facts(options), options.again)
    write_json(options.output, record)
    with tempfile.TemporaryDirectory() as temporary:
        settings = Settings(
            work=(options.work or Path(temporary)).resolve(),
            tiny=options.tiny,
            data=options.data and options.data.resolve(),
            steps=options.steps,
        )
        deadline = time.monotonic() + options.time_limit
        names = pending(record, wanted)
        for name in work_off(options.output, names, settings, deadline, options.check_limit):
            row = json.loads(options.output.read_text())["checks"][name]
            print(f"{name}: {row['status']} {row.get('reason', row.get('error', ''))}", file=sys.stderr)
    record = json.loads(options.output.read_text())
    left = pending(record, wanted)
    print(json.dumps(record, indent=2))
    failed = [name for name in left if record["checks"].get(name, {}).get("status") == "failed"]
    if untouched := [name for name in left if name not in failed]:
        print(f"time is up: {len(untouched)} checks are left; run the same command again", file=sys.stderr)
    missed = [goal for goal, met in record["summary"]["goals"].items() if met is False and not options.tiny]
    return EXIT_FAILED if failed or missed else EXIT_OK


def _arguments():
    parser = make_parser(__doc__, "python tools/bench_gpu.py --output gpu.json --time-limit 540")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the record, begun or continued")
    parser.add_argument(
        "--sections",
        metavar="NAME,...",
        help=f"checks or how their names begin (speed-32b); left out: all of {', '.join(sections())}",
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="where to run")
    parser.add_argument("--tiny", action="store_true", help="toy shapes, to try the code of every check")
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="steps of the loss curves")
    parser.add_argument(
        "--data", type=Path, metavar="PREFIX", help="data set of the loss curves; left out: one is made"
    )
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keep data there; left out: it is thrown away")
    parser.add_argument("--time-limit", type=float, default=540.0, metavar="SECONDS", help="for this call")
    parser.add_argument("--check-limit", type=float, default=240.0, metavar="SECONDS", help="for each check")
    parser.add_argument("--again", action="store_true", help="forget what the record holds")
    options = parser.parse_args()
    if options.device == "cpu" and not options.tiny:
        raise UserError("--device cpu computes no real shapes; add --tiny")
    for name in ("steps", "time_limit", "check_limit"):
        if getattr(options, name) <= 0:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(options, name)}; give a number above 0")
    return options


def _facts(options) -> dict:
    """What the figures depend on. Raises UserError if there is no GPU where one is asked for."""
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("torch sees no GPU here; look with tools/doctor.py, or use --device cpu --tiny")
    return {
        "command": shlex.join(["python", "tools/bench_gpu.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        "commit": commit(),
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "versions": {
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "megatron-core": version_of("megatron-core"),
            "transformer-engine": version_of("transformer-engine"),
        },
        "tiny": options.tiny,
        "loss_steps": options.steps,
    }


if __name__ == "__main__":
    run_command(main)
