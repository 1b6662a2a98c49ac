"""Show how a chain goes, on Slurm or on this machine."""

import json
from pathlib import Path

from megatron_rfft.chains.watch import advice, as_values, curves, format_views, look
from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import make_parser


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(
        "Show every stage of a chain that rfft submit started, on one screen: its state, the training's step, loss "
        "and speed, bad nodes, the last error, and what to do where something failed. A single run of "
        "slurm/train.sbatch can be watched as well. rfft report --training shows a training as curves.",
        "watch rfft watch runs/chain",
        "rfft watch",
    )
    parser.add_argument("run", type=Path, help="folder of the chain (its key run), or of a training run")
    add_json(parser)
    options = parser.parse_args(arguments)
    views = look(options.run)
    if options.json:
        print(json.dumps(as_values(views), indent=2))
    else:
        print(format_views(views, "\n".join(filter(None, (curves(views), advice(options.run, views))))))
