"""Write a corpus: examples of tasks at given lengths, as JSONL shards with a manifest.

What is to be written comes from a preset, a YAML file of the same form, or options, which override both. Run again
after an interruption it continues, and ends in the same bytes, whatever the number of processes or parts.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import yaml

from megatron_rfft.commands.options import TASKS_HELP, add_json, add_shard, add_task_file, read_shard
from megatron_rfft.common.cli import make_parser
from megatron_rfft.corpus import corpus_config, generate_corpus, load_preset, preset_names
from megatron_rfft.corpus.config import RECORDS_PER_SHARD, CorpusConfig
from megatron_rfft.corpus.presets import KEYS
from megatron_rfft.tasks import FORMS, SPLITS, load_task_files

EXAMPLE = (
    "rfft generate --preset rf-pretrain --workers 8 --output runs/rf-pretrain\n"
    "  rfft generate --preset adapt --tasks add_int --form direct --output runs/adapt-add_int\n"
    "  rfft generate --tasks coin_flip:1-10,last_letter:1-5 --samples 1000 --output runs/corpus"
)


def _parser() -> ArgumentParser:
    parser = make_parser(__doc__, EXAMPLE, "rfft generate")
    names = ", ".join(preset_names())
    parser.add_argument("--preset", metavar="NAME", help=f"what to write: {names}, or a YAML file with these keys")
    parser.add_argument("--tasks", help=TASKS_HELP)
    parser.add_argument(
        "--lengths",
        help="lengths of the tasks given without: 1-10, 2-30:2 or 1-5,10; 1-12:0.9,13-32:0.1 has shares",
    )
    parser.add_argument("--samples", type=int, metavar="N", help="distinct examples of each task and length (1000)")
    parser.add_argument("--split", choices=SPLITS, help="split of the instances (train)")
    parser.add_argument("--form", choices=FORMS, help="prompt form (rule)")
    parser.add_argument("--synthetic", type=int, metavar="N", help="examples of random rules over two lists to add (0)")
    parser.add_argument(
        "--rename",
        nargs="?",
        const=True,
        metavar="SETTINGS",
        help="other names for the variables of each example's rule; 0.5+random_names=0+names=12: of half of the "
        "examples, no random strings, 12 names for all variables",
    )
    parser.add_argument(
        "--max-tokens", type=int, metavar="N", help="leave out tasks and lengths with longer examples (estimated)"
    )
    parser.add_argument(
        "--num-shards", type=int, metavar="N", help=f"number of files (one per {RECORDS_PER_SHARD:,} examples)"
    )
    add_task_file(parser)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="folder for the shards and manifest.json")
    parser.add_argument("--workers", type=int, metavar="N", default=1, help="processes")
    add_shard(parser, "write part I of N, the rest is for other runs")
    parser.add_argument("--print-config", action="store_true", help="print the resolved settings as YAML and stop")
    add_json(parser, "the counts")
    return parser


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    load_task_files(options.task_file)
    settings = load_preset(options.preset) if options.preset else {}
    settings |= {key: value for key in KEYS if (value := getattr(options, key)) is not None}
    config = corpus_config(settings)
    if options.print_config:
        print(yaml.safe_dump({**settings, "num_shards": config.num_shards}, sort_keys=False), end="")
        return
    if options.output is None:
        parser.error("give --output FOLDER")
    for twin, held_out in config.near_twins.items():
        print(
            f"note: {twin} is a near twin of the held-out task {held_out}; scores on that would leak", file=sys.stderr
        )
    part = read_shard(options.shard)
    manifest = generate_corpus(config, options.output, options.workers, part)
    _report(manifest, config, options)


def _report(manifest: dict | None, config: CorpusConfig, options: Namespace) -> None:
    if manifest is None:
        unfinished = {"output": str(options.output), "part": options.shard, "finished": False}
        plain = f"part {options.shard} is finished, others are missing: {options.output}"
        print(json.dumps(unfinished) if options.json else plain)
        return
    counts = manifest["counts"]
    if options.json:
        print(json.dumps({"output": str(options.output), "files": sorted(manifest["files"]), **counts}))
        return
    for task, cells in counts["cells"].items():
        smaller = ", ".join(f"{n} of length {length}" for length, n in counts["smaller_cells"].get(task, {}).items())
        print(f"{task}: {sum(cells.values())} records" + (f" (found only: {smaller})" if smaller else ""))
    for task, cells in counts["over_token_budget"].items():
        print(f"{task}: left out at length {', '.join(cells)}, over {config.max_tokens} tokens")
    if lacking := [task for task, lengths in config.lengths.items() if not lengths]:
        print(f"without these lengths: {', '.join(lacking)}")
    print(f"{counts['records']} records in {len(manifest['files'])} files: {options.output}")
