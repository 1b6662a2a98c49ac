"""``rfft VERB ...``: find the verb and run it."""

import difflib
import sys
from importlib import import_module

from megatron_rfft import __version__
from megatron_rfft.commands.table import COMMANDS, GROUPS
from megatron_rfft.common.cli import EXIT_OK, run_command
from megatron_rfft.common.errors import UserError

_EXAMPLE = """\
example:
  rfft generate --tasks coin_flip:1-4 --samples 50 --output runs/corpus
  torchrun --nproc-per-node 2 -m megatron_rfft train --config run.yaml

rfft VERB --help has the options of a verb. `python -m megatron_rfft` does the same as `rfft`.
exit codes: 0 done, 1 failed, 2 wrong input, 75 and 76 of training: run it again"""


def main(arguments: list[str] | None = None) -> int | None:
    """Run the verb that ``arguments`` begin with (None: the process's own); its exit code.

    Raises UserError for a verb that there is not.
    """
    verb, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if verb in ("-h", "--help", "help"):
        print(describe())
        return EXIT_OK
    if verb == "--version":
        print(f"megatron_rfft {__version__}")
        return EXIT_OK
    if verb not in COMMANDS:
        close = difflib.get_close_matches(verb, COMMANDS, n=2)
        hint = f"did you mean {' or '.join(close)}?" if close else "rfft --help lists them"
        raise UserError(f"rfft has no verb {verb!r}; {hint}")
    return import_module(COMMANDS[verb].module).main(rest)


def describe() -> str:
    """What ``rfft --help`` prints."""
    width = max(map(len, COMMANDS))
    lines = ["usage: rfft VERB [options]", "", "Meta rule-following fine-tuning, from rules to a report."]
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {command.verb:{width}}  {command.help}" for command in commands)]
    return "\n".join([*lines, "", _EXAMPLE])


def run() -> None:
    """The entry point."""
    run_command(main)
