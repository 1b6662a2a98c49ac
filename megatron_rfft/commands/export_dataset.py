"""Export corpora for other programs: Parquet files and a dataset card that Hugging Face's `load_dataset` reads."""

import json
from pathlib import Path

from megatron_rfft.commands.options import add_json, add_task_file
from megatron_rfft.common.cli import make_parser
from megatron_rfft.corpus.export import export_corpora
from megatron_rfft.corpus.layouts import LAYOUTS
from megatron_rfft.tasks import load_task_files


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(
        f"{__doc__} Each prompt form becomes a configuration, each split a split; corpora of one form and split "
        "go into exports of their own. The layout messages is for supervised training elsewhere (TRL, LLaMA-Factory, "
        "ms-swift), rl for reinforcement learning (verl, TRL): train on the split train, evaluate on test.",
        "rfft export-dataset --input runs/rf-pretrain runs/test --output runs/dataset\n"
        "  rfft export-dataset --input runs/rf-pretrain --layout messages --output runs/conversations",
        "rfft export-dataset",
    )
    parser.add_argument("--input", type=Path, nargs="+", metavar="FOLDER", required=True, help="corpus folders")
    parser.add_argument("--layout", choices=LAYOUTS, default="records", help="what a record becomes")
    parser.add_argument("--name", default="rule-following", help="the dataset's name on its card")
    add_task_file(parser, "in there")
    parser.add_argument("--output", type=Path, metavar="FOLDER", required=True, help="folder of the dataset")
    add_json(parser)
    options = parser.parse_args(arguments)
    load_task_files(options.task_file)
    manifest = export_corpora(options.input, options.output, options.name, options.layout)
    if options.json:
        print(json.dumps({"output": str(options.output), "records": manifest["counts"]}))
    else:
        for place, count in manifest["counts"].items():
            print(f"{place}: {count} records")
        print(f"{len(manifest['files'])} files: {options.output}")
