"""Compare evaluations, or show training runs, on one page."""

import json
import os
import time
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
from megatron_rfft.slurm.starts import slurm_events
from megatron_rfft.training.history import PAGE, read_history
from megatron_rfft.training.run_page import write_run_page

EVERY = 30
DESCRIPTION = """\
Write report.html (one self-contained page), the figures as PNG and SVG, and the numbers as results.json, results.csv,
curves.csv and report.md. Evaluations of one method are joined: its tasks by commas, its seeds as NAME@SEED. Accuracies
are then means over the seeds, each seed is a thin line, and the intervals take seeds as clusters.

With --training, write training.html about training runs instead: losses by task and length, speed, where the time went,
starts and what ended them. It needs no torch, and can be written again and again while they train."""
EXAMPLES = """\
rfft report --run "follows the rule=runs/rule/eval" --run "answers directly=runs/direct/eval" --output report
  rfft report --run Meta-RFFT@1=runs/1/length_int,runs/1/add_int \\
    --run Meta-RFFT@2=runs/2/length_int,runs/2/add_int --about "Meta-RFFT=RF-pretrained on other rules" \\
    --title "Longer than trained" --unit "number of digits" --task-title "length_int=How many digits?" \\
    --curve "steps of adaptation" Meta-RFFT 0@1=runs/1/0 0@2=runs/2/0 60@1=runs/1/60 60@2=runs/2/60 \\
    --output report
  rfft report --training runs/first/run --follow"""
TRAINING_ONLY, EVALUATION_ONLY = ("follow",), ("curve", "general", "unit", "task_title", "about")
"""Options of one kind of page."""


def parse_arguments(arguments: list[str] | None) -> Namespace:
    parser = make_parser(DESCRIPTION, EXAMPLES, "rfft report")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--run",
        action="append",
        metavar="NAME[@SEED]=DIR[,DIR...]",
        help="a finished evaluation under a name, or several of one method on a task each; repeatable, also for the "
        "same name with another seed (an integer)",
    )
    what.add_argument(
        "--training",
        nargs="+",
        metavar="[NAME=]DIR",
        help="folders of training runs (run.output), finished or not, for one page",
    )
    parser.add_argument(
        "--follow",
        type=int,
        nargs="?",
        const=EVERY,
        metavar="SECONDS",
        help=f"with --training: write the page again about every so many seconds ({EVERY}) until the runs are finished;"
        " a browser that shows it, from disk too, loads it again",
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
    parser.add_argument(
        "--output", type=Path, help="folder for the report; with --training the first run's own unless another is given"
    )
    parser.add_argument("--title", default="", help=f"heading of the page and the plots (default: {Wording.title})")
    parser.add_argument("--subtitle", default="", help="what the plots show, in a sentence below the title")
    parser.add_argument("--unit", default="", help=f"what lengths count, below the plots (default: {Wording.unit})")
    for option, metavar, text in (
        ("--task-title", "TASK=TEXT", "a task in plain words, as its plot's title; repeatable"),
        ("--about", "NAME=TEXT", "what a run is, beside its name in the legend; repeatable"),
    ):
        parser.add_argument(option, action="append", default=[], metavar=metavar, help=text)
    add_json(parser, "the merged results")
    return check_options(parser.parse_args(arguments))


def check_options(options: Namespace) -> Namespace:
    """The options, none of which is for the other kind of page. Raises UserError otherwise."""
    wrong, of = (EVALUATION_ONLY, "--run") if options.training else (TRAINING_ONLY, "--training")
    for name in wrong:
        if getattr(options, name):
            raise UserError(f"--{name.replace('_', '-')} goes with {of}; leave it out")
    if options.follow is not None and options.follow < 1:
        raise UserError(f"--follow is {options.follow}; give 1 or more seconds")
    if not options.training and options.output is None:
        raise UserError("--output is not given; name a folder for the report")
    return options


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


def parse_training(texts: list[str]) -> dict[str, Path]:
    """Folders of training runs by name, from [NAME=]DIR; without one the end of the path that tells it from others."""
    found: dict[str, Path] = {}
    plain = [Path(text).resolve() for text in texts if "=" not in text]
    shared = Path(os.path.commonpath(plain)) if len(plain) > 1 else None
    for text in texts:
        name, separator, folder = text.rpartition("=")
        path = Path(folder).resolve()
        if not name:
            name = str(path.relative_to(shared)) if shared and path != shared else "/".join(path.parts[-2:])
        if not folder or name in found or (separator and not name):
            raise UserError(f"--training {text!r} is not [NAME=]DIR, or names a run twice; write for example a=runs/a")
        found[name] = Path(folder)
    return found


def report_training(options: Namespace) -> None:
    """Write the page of training runs; with ``--follow`` until all of them are finished."""
    folders = parse_training(options.training)
    page, said = (options.output or next(iter(folders.values()))) / PAGE, options.json
    while True:
        began = time.monotonic()
        histories = [read_history(name, folder) for name, folder in folders.items()]
        events = {name: slurm_events(folder) for name, folder in folders.items()}
        going = options.follow and not all(history.finished for history in histories)
        refresh = options.follow if going else 0
        words = {"title": options.title, "subtitle": options.subtitle}
        newest = write_run_page(histories, page, **words, events=events, refresh=refresh)
        if not said:
            print(page, flush=True)
            said = True
        if not going:
            break
        # Beside a training on the same cores the page takes a tenth of the time at most.
        time.sleep(max(options.follow, 10 * (time.monotonic() - began)))
    if options.json:
        print(json.dumps(newest, ensure_ascii=False))


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    if options.training:
        report_training(options)
        return
    runs = parse_runs("--run", options.run)
    wording = Wording(
        options.title or Wording.title,
        options.subtitle,
        options.unit or Wording.unit,
        parse_texts("--task-title", options.task_title, task_names(runs)),
        parse_texts("--about", options.about, [run.name for run in runs]),
    )
    general = parse_general(options.general)
    report = write_report(runs, options.output, wording, parse_curves(options.curve), general)
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        print("\n".join(str(options.output / name) for name in report["files"]))
