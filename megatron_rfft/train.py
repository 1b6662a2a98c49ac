"""Train a model: ``torchrun --nproc-per-node N -m megatron_rfft train --config FILE [--section.key value ...]``."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from megatron_rfft.common.cli import EXIT_OK, EXIT_STOPPED, add_config, make_parser, run_command
from megatron_rfft.common.files import require_writable
from megatron_rfft.common.restart import hold
from megatron_rfft.data.dataset import PackedDataset
from megatron_rfft.data.splits import warnings_of_training
from megatron_rfft.tokenization.integrity import TokensCheck, check_small_files
from megatron_rfft.training.boards import require_boards
from megatron_rfft.training.checkpoint_files import newest_manifest
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_help import describe_config
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.environment import set_environment
from megatron_rfft.training.layout_check import check_heads, check_layout
from megatron_rfft.training.run_config import write_run_config
from megatron_rfft.training.run_state import why_done
from megatron_rfft.training.validation_data import open_validation

if TYPE_CHECKING:
    from megatron_rfft.training.trainer import Callback, Trainer


def main(arguments: list[str] | None = None) -> int:
    """Read the config, check everything that can be checked alone, then train or resume."""
    parser = make_parser(
        "Train on tokenized corpora. Any key of the config can be set as --section.key VALUE. A run folder that holds "
        "checkpoints is resumed.",
        "torchrun --nproc-per-node 2 -m megatron_rfft train --config run.yaml --optimizer.lr 1e-4",
        "rfft train",
    )
    add_config(parser)
    parser.add_argument("--print-config", action="store_true", help="print the resolved config and stop")
    parser.epilog = f"config keys, in the YAML file or as options:\n{describe_config()}\n\n{parser.epilog}"
    parser.epilog += ", 75 stopped by a signal and saved, 76 hung (guard.hang_timeout): after these, run it again"
    known, overrides = parser.parse_known_args(arguments)
    config = load_config(known.config, overrides)
    if known.print_config:
        print(yaml.safe_dump(config.as_dict(), sort_keys=False), end="")
        return EXIT_OK
    return train(config)


def train(config: TrainConfig) -> int:
    """Train in the current (torchrun) world until ``config.run.steps`` or an early stop; the exit code."""
    dataset = config.data.open(config.run.seed)
    validation_set = open_validation(config, dataset)
    ids_in_use = max(data.ids_in_use for data in (dataset, validation_set) if data is not None)
    model_config = config.model.resolve(dataset.vocab_size, ids_in_use)
    check_layout(config, model_config, int(os.environ.get("WORLD_SIZE", "1")))
    read = {"data.train": dataset.parts, "validation.data": validation_set.parts if validation_set else []}
    parts = [part for each in read.values() for part in each]
    output = Path(config.run.output)
    first_rank = os.environ.get("RANK", "0") == "0"
    if first_rank:
        require_boards(config.logging)
    if reason := why_done(config, output):
        if first_rank:
            write_run_config(config, read)
            print(f"{output} is finished: {reason}")
        return EXIT_OK
    if first_rank:
        require_writable(output / "checkpoints")
        check_small_files(parts)
        for line in warnings_of_training(dataset.parts):
            print(line, file=sys.stderr)
    set_environment(config)
    # Imported late: a wrong config is answered in a second, without loading megatron-core.
    from megatron_rfft.mcore import write_warnings
    from megatron_rfft.training.layout import abandon_parallel, destroy_parallel, initialize_parallel
    from megatron_rfft.training.precision import check_precision, describe_fp8, uses_te
    from megatron_rfft.training.trainer import Trainer

    check_precision(config)
    if not uses_te(config):
        check_heads(config, model_config)
    busy = f"another run is writing {output}; wait for it, or give another --run.output"
    with contextlib.ExitStack() as stack:
        if first_rank:
            stack.enter_context(hold(output / ".lock", busy))
            stack.enter_context(write_warnings(output / "megatron.log"))
            write_run_config(config, read)
        try:
            initialize_parallel(config, model_config)
            # Billions of random weights take minutes: not for a checkpoint to overwrite them.
            initialize = config.checkpoint.load is None and newest_manifest(output / "checkpoints") is None
            tokens_check = TokensCheck(parts) if first_rank else None
            callbacks = make_callbacks(config, validation_set, tokens_check)
            trainer = Trainer(config, model_config, dataset, callbacks, initialize=initialize)
            if config.precision.fp8 != "none":
                line = describe_fp8(trainer)
                if first_rank:
                    print(line, file=sys.stderr)
            trainer.run()
        except BaseException:
            abandon_parallel()
            raise
        destroy_parallel()
    return _tell_end(trainer, first_rank)


def _tell_end(trainer: Trainer, first_rank: bool) -> int:
    """The exit code of a training that ended, and why it ended early, if it did."""
    from megatron_rfft.training.callbacks import StopOnSignal

    run = trainer.config.run
    by_signal = trainer.stopping in {number.name for number in StopOnSignal.SIGNALS}
    unfinished = by_signal and trainer.step < run.steps
    if trainer.stopping and first_rank:
        told = f"stopped by {trainer.stopping} at step {trainer.step} of {run.steps}, saved: run it again"
        print(told if unfinished else f"{run.output} is finished: {trainer.stopping}", file=sys.stderr)
    return EXIT_STOPPED if unfinished else EXIT_OK


def make_callbacks(
    config: TrainConfig, validation_set: PackedDataset | None, tokens_check: TokensCheck | None = None
) -> list[Callback]:
    """What happens around the loop. ``tokens_check`` is given on the first rank only."""
    from megatron_rfft.training import callbacks as available

    output, logging = Path(config.run.output), config.logging
    records = available.Records(output, tensorboard=logging.tensorboard, wandb=logging.wandb)
    metrics = available.Metrics(records, logging.interval, logging.peak_tflops)
    stragglers = available.Stragglers(records)
    chosen = [available.Guard(records, config.guard), available.StopOnSignal()]
    if validation_set is not None:
        chosen.append(available.Validation(records, config.validation, validation_set))
    folder = output / "checkpoints"
    chosen.append(available.Checkpointing(folder, config.checkpoint, tokens_check))
    if config.checkpoint.export_hf:
        from megatron_rfft.conversion.to_hf import to_hf

        chosen.append(available.Export(folder, output / "hf", to_hf))
    chosen += [records, metrics, stragglers, available.Announcement(), available.StatusLine(metrics, stragglers)]
    chosen.append(available.GarbageCollection())
    if logging.profile is not None:
        chosen.append(available.Profile(output / "profile", *logging.profile))
    if config.guard.hang_timeout:
        chosen.append(available.Watchdog(output / "hang", config.guard.hang_timeout))
    return chosen


if __name__ == "__main__":
    run_command(main)
