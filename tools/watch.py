#!/usr/bin/env python3
"""Show how a chain goes, on Slurm or on this machine."""

import json
from pathlib import Path

from megatron_rfft.cluster.watch import advice, as_values, format_views, look
from megatron_rfft.common.cli import make_parser, run_command


def main() -> None:
    parser = make_parser(
        "Show every stage of a chain that tools/submit.py started, on one screen: its state, the training's step, loss "
        "and speed, bad nodes, the last error, and what to do where something failed. A single run of "
        "slurm/train.sbatch can be watched as well.",
        "watch python tools/watch.py runs/chain",
    )
    parser.add_argument("run", type=Path, help="folder of the chain (its key run), or of a training run")
    parser.add_argument("--json", action="store_true", help="print plain values")
    options = parser.parse_args()
    views = look(options.run)
    if options.json:
        print(json.dumps(as_values(views), indent=2))
    else:
        print(format_views(views, advice(options.run, views)))


if __name__ == "__main__":
    run_command(main)
