"""Run everything from rules to a report: a chain of Slurm jobs, or of processes on this machine."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path

from megatron_rfft.chains.chain import Chain
from megatron_rfft.chains.config import STAGES, load_chain
from megatron_rfft.chains.jobs import submit_chain
from megatron_rfft.chains.local import for_this_machine, look_at_stages, run_locally
from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import EXIT_OK, add_config, make_parser


def main(arguments: list[str] | None = None) -> int:
    parser = make_parser(
        "Run what a chain file describes, as Slurm jobs or (--local) on this machine: generate, tokenize, RF-pretrain, "
        "adapt (a run for each arm, task and seed), convert, evaluate, report. Each task starts when those that it "
        "needs ended well. Run it again at any time: it starts lost tasks and the rest, and leaves alone what is "
        "finished, queued or running. rfft watch RUN shows how it goes.",
        "rfft submit --config chain.yaml --dry-run\n  rfft submit --config chain.yaml --local --arms vanilla,meta",
        "rfft submit",
    )
    add_config(parser, "chain")
    parser.add_argument("--local", action="store_true", help="run it on this machine, without Slurm")
    parser.add_argument("--run", type=Path, help="folder of everything that the chain makes, instead of its own")
    parser.add_argument("--arms", metavar="NAME[,NAME]", help="what these arms need, and no more (all)")
    parser.add_argument("--until", choices=STAGES, default="report", help="this stage and what it needs, no later one")
    parser.add_argument("--dry-run", action="store_true", help="print commands and scripts, start and write nothing")
    add_json(parser, "what became of each stage: its state, jobs, tasks and folder,")
    options = parser.parse_args(arguments)
    config = load_chain(options.config, run=options.run)
    config = for_this_machine(config) if options.local else config
    chain = Chain(config, arms=options.arms.split(",") if options.arms else (), until=options.until)
    code = EXIT_OK
    if not options.local:
        stages = submit_chain(chain, options.config, dry_run=options.dry_run)
    else:
        code = EXIT_OK if options.dry_run else run_locally(chain, options.config)
        stages = look_at_stages(chain, dry_run=options.dry_run) if options.dry_run or options.json else []
    if options.json:
        print(json.dumps({"run": str(chain.run), "stages": [asdict(stage) for stage in stages]}, indent=2))
    elif not options.local:
        print("\n".join(stage.text for stage in stages))
        if not options.dry_run:
            print(f"watch it: rfft watch {shlex.quote(str(chain.run))}")
    elif options.dry_run:
        print("\n".join(stage.text for stage in stages if stage.commands) or "everything is finished")
    return code
