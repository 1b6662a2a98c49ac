"""Habits that all commands share: help with defaults and an example, one-line errors, exit codes, length ranges."""

import argparse
import errno
import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from megatron_rfft.common.errors import CommandFailed, RankError, UserError

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
EXIT_STOPPED = 75  # sysexits.h: EX_TEMPFAIL; stopped by a signal with all work saved, run it again to continue
EXIT_HUNG = 76  # a training step did not end within guard.hang_timeout: run it again, it continues from its checkpoint


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NAMED = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "change its permissions, or name another place"),
    errno.EROFS: "name a place that can be written to",
    **dict.fromkeys((errno.EEXIST, errno.EISDIR, errno.ENOTDIR), "name another place"),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.ELOOP), "name another place"),
    **dict.fromkeys(_FULL, "free some room and run the command again"),
}
"""What to do about errors of the file system that have nothing to do with this program."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps line breaks, adds defaults where there are some, calls a value N, X or PATH where it has no other name."""

    _KINDS: ClassVar = {int: "N", float: "X", Path: "PATH"}

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = (action.help or "").replace(" (default: %(default)s)", "")  # Python 3.11 adds it to --x | --no-x
        if action.default in (None, False, "", [], argparse.SUPPRESS) or action.required:
            return text
        return f"{text} (default: {'on' if action.default is True else '%(default)s'})"

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return self._KINDS.get(action.type) or super()._get_default_metavar_for_optional(action)


def make_parser(description: str, example: str, command: str | None = None) -> argparse.ArgumentParser:
    """An argument parser whose help ends in ``example`` and the exit codes.

    ``command`` is what the user types, such as ``rfft generate``; None: the script's name.
    """
    width = min(shutil.get_terminal_size().columns - 2, 110)
    told = "\n\n".join(textwrap.fill(part, width) for part in description.split("\n\n"))
    epilog = f"example:\n  {example}\n\nexit codes: 0 done, 1 failed, 2 wrong input"
    return argparse.ArgumentParser(prog=command, description=told, epilog=epilog, formatter_class=_Formatter)


def add_config(parser: argparse.ArgumentParser, whose: str = "run", more: str = "", *, required: bool = True) -> None:
    """``--config``: the YAML file of a run or a chain; ``more`` ends its help."""
    parser.add_argument("--config", type=Path, required=required, help=f"the {whose}'s YAML file{more}")


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command's ``main`` and exit with its code (None means 0).

    A UserError becomes one line and code 2, so does a file or folder that can't be used; a CommandFailed becomes one
    line and code 1, so does a full disk.
    """
    try:
        code = main()
    except (UserError, CommandFailed) as error:
        if isinstance(error, RankError) or os.environ.get("LOCAL_RANK", "0") == "0":  # under torchrun, once per node
            print(f"error: {error}", file=sys.stderr)
        code = EXIT_USAGE if isinstance(error, UserError) else EXIT_FAILED
    except BrokenPipeError:  # `command | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_OK
    except OSError as error:
        if error.errno not in _NAMED or error.filename is None:
            raise
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {error.filename}: {error.strerror}; {_NAMED[error.errno]}", file=sys.stderr)
        code = EXIT_FAILED if error.errno in _FULL else EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code or EXIT_OK)


def parse_lengths(text: str) -> list[int]:
    """Parse ``"1-5"``, ``"2-30:2"`` or ``"3,7,10-12"`` into sorted distinct lengths (``-`` is inclusive).

    Raises UserError on anything else.
    """
    lengths: set[int] = set()
    for part in text.split(","):
        bounds, _, step = part.strip().partition(":")
        low, dash, high = bounds.partition("-")
        try:
            numbers = (int(low), int(high if dash else low), int(step or 1))
        except ValueError as error:
            raise UserError(f"lengths {text!r}: {part!r} is not a range; write for example 2-30:2 or 1-5,10") from error
        if numbers[0] < 1 or numbers[1] < numbers[0] or numbers[2] < 1:
            raise UserError(f"lengths {text!r}: {part!r} is empty or below 1; write for example 2-30:2")
        lengths.update(range(numbers[0], numbers[1] + 1, numbers[2]))
    return sorted(lengths)


def parse_length_shares(text: str) -> dict[int, float]:
    """The lengths of ``"1-12:0.9,13-32:0.1"``, each with its weight: how many times the mean number of samples it gets.

    A number with a point behind a range is its share of all samples; the lengths of a range have equal parts of it.
    The weights are 1 on average, and all 1 where no share is given. Raises UserError if ``parse_lengths`` does, if
    only some ranges have a share, if the shares don't add up to 1, or if a length is in two ranges.
    """
    ranges: list[tuple[list[int], float | None]] = []
    for part in text.split(","):
        bounds, colon, share = part.strip().rpartition(":")
        if colon and "." in share:
            lengths = parse_lengths(bounds)
            try:
                ranges.append((lengths, float(share)))
            except ValueError as error:
                raise UserError(f"lengths {text!r}: {share!r} is not a share; write for example 1-12:0.9") from error
        else:
            ranges.append((parse_lengths(part), None))
    shares = [share for _, share in ranges if share is not None]
    if not shares:
        return dict.fromkeys(parse_lengths(text), 1.0)
    if len(shares) < len(ranges):
        raise UserError(f"lengths {text!r}: some ranges have a share and some have none; give one to each")
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"lengths {text!r}: the shares add up to {sum(shares):g}; make them positive, with the sum 1")
    total = sum(len(lengths) for lengths, _ in ranges)
    weights: dict[int, float] = {}
    for lengths, share in ranges:
        if twice := weights.keys() & set(lengths):
            raise UserError(f"lengths {text!r}: {min(twice)} is in two ranges; leave it out of one")
        weights |= dict.fromkeys(lengths, share * total / len(lengths))
    return dict(sorted(weights.items()))
