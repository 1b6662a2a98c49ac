"""Run under torchrun: ``straggler_worker.py CONFIG FOLDER`` trains in two layouts while the second rank is slow.

It sleeps in the forward pass of its first layer; what the others see of it are collectives that take long.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from megatron_rfft.training.callbacks import Records, Stragglers
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout import destroy_parallel, initialize_parallel
from megatron_rfft.training.trainer import Trainer

LAYOUTS = {"DP2": [], "TP2": ["--parallel.tensor", "2", "--parallel.sequence", "true"]}
SLEEP = 0.6


def main() -> None:
    for name, overrides in LAYOUTS.items():
        config = load_config(sys.argv[1], [*overrides, "--run.steps", "6"])
        config = replace(config, run=replace(config.run, output=str(Path(sys.argv[2]) / name)))
        dataset = config.data.open(config.run.seed)
        model = config.model.resolve(dataset.vocab_size)
        initialize_parallel(config, model)
        records = Records(Path(config.run.output))
        trainer = Trainer(config, model, dataset, [records, Stragglers(records, seconds=0)])
        if torch.distributed.get_rank() == 1:
            first = trainer.stages[0].decoder.layers[0]
            first.register_forward_pre_hook(lambda *_: time.sleep(SLEEP))
        trainer.run()
        destroy_parallel(keep_process_group=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
