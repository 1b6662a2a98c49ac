#!/usr/bin/env python3
"""The command `rfft verify` as a script."""

from megatron_rfft.commands.verify import main
from megatron_rfft.common.cli import run_command

if __name__ == "__main__":
    run_command(main)
