"""Compare evaluations in one page."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import make_parser
from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.curves import parse_curves
from megatron_rfft.evaluation.figures import Wording
from megatron_rfft.evaluation.general import load_general
from megatron_rfft.evaluation.report import write_report
from megatron_rfft.evaluation.runs import parse_runs, task_names

DESCRIPTION = """\
Write report.html (one self-contained page), the figures as PNG and SVG, and the numbers as results.json, results.csv,
curves.csv and report.md. Evaluations of one method are joined: its tasks by commas, its seeds as NAME@SEED. Accuracies
are then means over the seeds, each seed is a thin line, and the intervals take seeds as clusters."""
EXAMPLES = """\
rfft report --run "follows the rule=runs/rule/eval" --run "answers directly=runs/direct/eval" --output report
  rfft report --run Meta-RFFT@1=runs/1/length_int,runs/1/add_int \\
    --run Meta-RFFT@2=runs/2/length_int,runs/2/add_int --about "Meta-RFFT=RF-pretrained on other rules" \\
    --title "Longer than trained" --unit "number of digits" --task-title "length_int=How many digits?" \\
    --curve "steps of adaptation" Meta-RFFT 0@1=runs/1/0 0@2=runs/2/0 60@1=runs/1/60 60@2=runs/2/60 \\
    --output report"""


def parse_arguments(arguments: list[str] | None) -> Namespace:
    parser = make_parser(DESCRIPTION, EXAMPLES, "rfft report")
    parser.add_argument(
        "--run",
        action="append",
        required=True,
        metavar="NAME[@SEED]=DIR[,DIR...]",
        help="a finished evaluation under a name, or several of one method on a task each; repeatable, also for the "
        "same name with another seed (an integer)",
    )
    parser.add_argument(
        "--curve",
        action="append",
        nargs="+",
        default=[],
        metavar="TITLE",
        help="TITLE NAME VALUE[@SEED]=DIR[,DIR...] ...: a plot of the accuracy beyond the trained lengths against the "
        "values of what TITLE names, in the order given; repeatable, also for the same TITLE with another line NAME",
    )
    parser.add_argument(
        "--general",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="general tasks that a model was asked (rfft evaluate-general) under a name, the model before training "
        "first: a table of all; repeatable",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the report")
    parser.add_argument("--title", default=Wording.title, help="heading of the page and the plots")
    parser.add_argument("--subtitle", default="", help="what the plots show, in a sentence below the title")
    parser.add_argument("--unit", default=Wording.unit, help="what lengths count, below the plots")
    for option, metavar, text in (
        ("--task-title", "TASK=TEXT", "a task in plain words, as its plot's title; repeatable"),
        ("--about", "NAME=TEXT", "what a run is, beside its name in the legend; repeatable"),
    ):
        parser.add_argument(option, action="append", default=[], metavar=metavar, help=text)
    add_json(parser, "the merged results")
    return parser.parse_args(arguments)


def parse_texts(option: str, texts: list[str], known: list[str]) -> dict[str, str]:
    """NAME=TEXT options as a dictionary. Raises UserError for a name that nothing in the report has."""
    found = {}
    for text in texts:
        name, separator, words = text.partition("=")
        if not separator or name not in known:
            raise UserError(f"{option} {text!r} does not begin with one of {', '.join(known)} and '='")
        found[name] = words
    return found


def parse_general(texts: list[str]) -> dict[str, dict[str, Any]]:
    """Results of general tasks by name, from NAME=DIR options."""
    found = {}
    for text in texts:
        name, separator, folder = text.partition("=")
        if not (separator and name and folder) or name in found:
            raise UserError(
                f"--general {text!r} is not NAME=DIR, or names one twice; write for example before=runs/general"
            )
        found[name] = load_general(folder)
    return found


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    runs = parse_runs("--run", options.run)
    wording = Wording(
        options.title,
        options.subtitle,
        options.unit,
        parse_texts("--task-title", options.task_title, task_names(runs)),
        parse_texts("--about", options.about, [run.name for run in runs]),
    )
    general = parse_general(options.general)
    report = write_report(runs, options.output, wording, parse_curves(options.curve), general)
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        print("\n".join(str(options.output / name) for name in report["files"]))
