"""What the tests of the adapters share: the commands of their page."""

import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.end_to_end.test_readme import lines

PROGRAMS = {
    "python": [sys.executable],
    "accelerate": [sys.executable, "-m", "accelerate.commands.accelerate_cli"],
    "vf-eval": [str(Path(sys.executable).with_name("vf-eval"))],
}


def page_command(word: str) -> list[str]:
    """The command of ``examples/rl/README.md`` that has ``word``, with this environment's programs."""
    (found,) = (words for words in lines(ROOT / "examples/rl/README.md", "shell") if word in words)
    if "=" in found[0]:  # a variable, which a test sets
        found = found[1:]
    return PROGRAMS[found[0]] + found[1:]
