#!/usr/bin/env python3
"""Submit everything from rules to a report as a chain of Slurm jobs."""

from pathlib import Path

from megatron_rfft.cluster.chain import Chain
from megatron_rfft.cluster.chain_config import load_chain
from megatron_rfft.cluster.chain_jobs import submit_chain
from megatron_rfft.common.cli import make_parser, run_command


def main() -> None:
    parser = make_parser(
        "Submit a chain of Slurm jobs: generate, tokenize, from-hf, RF-pretrain, adapt (a run for each task), convert, "
        "evaluate, report; each starts when those before it ended well, each model's export and evaluation with that "
        "model. Run it again at any time: what is done, queued or running is left alone, lost tasks and the rest are "
        "submitted. tools/watch.py RUN shows how it goes.",
        "python tools/submit.py --config chain.yaml --dry-run",
    )
    parser.add_argument("--config", type=Path, required=True, help="the chain's YAML file")
    parser.add_argument("--dry-run", action="store_true", help="print commands and scripts, submit and write nothing")
    options = parser.parse_args()
    chain = Chain(load_chain(options.config))
    print("\n".join(submit_chain(chain, options.config, dry_run=options.dry_run)))
    if not options.dry_run:
        print(f"watch it: python tools/watch.py {chain.run}")


if __name__ == "__main__":
    run_command(main)
