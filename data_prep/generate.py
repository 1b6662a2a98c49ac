"""Write a corpus: examples of tasks at given lengths, as JSONL shards with a manifest.

Run again after an interruption it continues, and ends in the same bytes.
"""

import json
from pathlib import Path

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.corpus import CorpusConfig, generate_corpus, parse_tasks
from megatron_rfft.corpus.config import RECORDS_PER_SHARD
from megatron_rfft.tasks import FORMS, SPLITS

EXAMPLE = (
    "python data_prep/generate.py --tasks coin_flip:1-10,last_letter:1-5 --samples 1000 --output runs/corpus\n"
    "  python data_prep/generate.py --tasks add_int,length_int --lengths 1-15 --samples 300 --form direct "
    "--output runs/direct"
)


def main() -> None:
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument("--tasks", required=True, help="task names, with lengths of their own if wanted: a,b:1-5,8")
    parser.add_argument("--lengths", help="lengths of the tasks given without: 1-10, 2-30:2 or 1-5,10")
    parser.add_argument(
        "--samples", type=int, metavar="N", default=1000, help="distinct examples of each task and length"
    )
    parser.add_argument("--split", choices=SPLITS, default="train", help="split of the instances")
    parser.add_argument("--form", choices=FORMS, default="rule", help="prompt form")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", required=True, help="folder for the shards and manifest.json"
    )
    parser.add_argument(
        "--num-shards",
        type=int,
        metavar="N",
        help=f"number of files; one per {RECORDS_PER_SHARD} examples if not given",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", default=1, help="processes; the bytes do not depend on them"
    )
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    options = parser.parse_args()
    lengths = parse_tasks(options.tasks, options.lengths)
    config = CorpusConfig(lengths, options.samples, options.split, options.form, options.num_shards)
    manifest = generate_corpus(config, options.output, options.workers)
    counts = manifest["counts"]
    if options.json:
        print(json.dumps({"output": str(options.output), "files": sorted(manifest["files"]), **counts}))
        return
    for task, cells in counts["cells"].items():
        smaller = ", ".join(f"{n} of length {length}" for length, n in counts["smaller_cells"].get(task, {}).items())
        print(f"{task}: {sum(cells.values())} records" + (f" (all there are: {smaller})" if smaller else ""))
    print(f"{counts['records']} records in {len(manifest['files'])} files: {options.output}")


if __name__ == "__main__":
    run_command(main)
