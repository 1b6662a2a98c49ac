#!/usr/bin/env python3
"""The command `rfft train-tokenizer` as a script."""

from megatron_rfft.commands.train_tokenizer import main
from megatron_rfft.common.cli import run_command

if __name__ == "__main__":
    run_command(main)
