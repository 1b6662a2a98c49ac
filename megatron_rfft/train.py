"""Train a model: ``torchrun --nproc-per-node N -m megatron_rfft.train --config FILE [--section.key value ...]``."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import yaml

from megatron_rfft.common.cli import EXIT_OK, EXIT_STOPPED, make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import atomic_write
from megatron_rfft.training.checkpoint_files import newest_step
from megatron_rfft.training.config import TrainConfig, load_config
from megatron_rfft.training.config_help import describe_config
from megatron_rfft.training.layout_check import check_layout


def main(arguments: list[str] | None = None) -> int:
    """Read the config, check everything that can be checked alone, then train or resume."""
    parser = make_parser(
        "Train on tokenized corpora. Any key of the config can be set as --section.key VALUE. A run folder that holds "
        "checkpoints is resumed.",
        "torchrun --nproc-per-node 2 -m megatron_rfft.train --config run.yaml --optimizer.lr 1e-4",
    )
    parser.add_argument("--config", type=Path, required=True, help="the run's YAML file")
    parser.add_argument("--print-config", action="store_true", help="print the resolved config and stop")
    parser.epilog = f"config keys, in the YAML file or as options:\n{describe_config()}\n\n{parser.epilog}"
    known, overrides = parser.parse_known_args(arguments)
    config = load_config(known.config, overrides)
    if known.print_config:
        print(yaml.safe_dump(config.as_dict(), sort_keys=False), end="")
        return EXIT_OK
    return train(config)


def train(config: TrainConfig) -> int:
    """Train in the current (torchrun) world until ``config.run.steps``; the exit code."""
    dataset = config.data.open(config.run.seed)
    model_config = config.model.resolve(dataset.vocab_size)
    check_layout(config, model_config, int(os.environ.get("WORLD_SIZE", "1")))
    output = Path(config.run.output)
    first_rank = os.environ.get("RANK", "0") == "0"
    if (done := newest_step(output / "checkpoints")) >= config.run.steps:
        if first_rank:
            write_run_config(config, output)
            print(f"{output} is done: step {done} of {config.run.steps}")
        return EXIT_OK
    # Imported late: a wrong config is answered in a second, without loading megatron-core.
    from megatron_rfft.training.precision import check_precision, describe_fp8

    check_precision(config)
    from megatron_rfft.training.callbacks import Checkpointing, Metrics, NanGuard, StatusLine, StopOnSignal, run_lock
    from megatron_rfft.training.layout import abandon_parallel, destroy_parallel, initialize_parallel
    from megatron_rfft.training.trainer import Trainer

    with run_lock(output) if first_rank else contextlib.nullcontext():
        if first_rank:
            write_run_config(config, output)
        stop = StopOnSignal()
        callbacks = [
            NanGuard(),
            stop,
            Checkpointing(
                output / "checkpoints", config.checkpoint.interval, config.checkpoint.keep, config.checkpoint.load
            ),
            Metrics(output, config.logging.interval, config.logging.tensorboard),
            StatusLine(),
        ]
        try:
            initialize_parallel(config, model_config)
            # Billions of random weights take minutes: not for a checkpoint to overwrite them.
            initialize = config.checkpoint.load is None and done == 0
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
    if trainer.stopping and trainer.step < config.run.steps:
        if first_rank:
            name = signal.Signals(stop.received).name
            print(
                f"stopped by {name} at step {trainer.step} of {config.run.steps}, saved: run it again", file=sys.stderr
            )
        return EXIT_STOPPED
    return EXIT_OK


# Keys that may change when a run is resumed; anything else would silently be another run.
RESUMABLE = {("run", "output"), ("checkpoint", "interval"), ("checkpoint", "keep"), ("logging", "interval")}
RESUMABLE |= {("logging", "tensorboard"), ("batch", "micro_batch_size"), ("data", "cache")}
RESUMABLE |= {("parallel", key) for key in ("tensor", "pipeline", "virtual_pipeline", "context", "sequence", "overlap")}
RESUMABLE |= {("memory", "recompute")}


def write_run_config(config: TrainConfig, output: Path) -> None:
    """Write the resolved config into the run folder. Raises UserError if another run's config lies there."""
    path = output / "config.yaml"
    resolved = config.as_dict()
    if path.is_file():
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
        for section, values in resolved.items():
            for key, value in values.items():
                if (section, key) not in RESUMABLE and before.get(section, {}).get(key) != value:
                    raise UserError(
                        f"{output} holds a run with {section}.{key} {before.get(section, {}).get(key)!r}, this one has "
                        f"{value!r}; set another run.output or make them equal"
                    )
    with atomic_write(path) as handle:
        yaml.safe_dump(resolved, handle, sort_keys=False)


if __name__ == "__main__":
    run_command(main)
