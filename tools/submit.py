#!/usr/bin/env python3
"""The command `rfft submit` as a script."""

from megatron_rfft.commands.submit import main
from megatron_rfft.common.cli import run_command

if __name__ == "__main__":
    run_command(main)
