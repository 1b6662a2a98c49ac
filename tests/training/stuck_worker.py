"""Run under torchrun: ``stuck_worker.py CONFIG`` trains until the second rank gets stuck in code of its own."""

import sys
import time

import torch

from megatron_rfft.train import make_callbacks
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout import initialize_parallel
from megatron_rfft.training.trainer import Trainer


class StuckDataset:
    """A data set that never gives rank 1's part of what begins with sequence ``first``."""

    def __init__(self, dataset, first: int):
        self._dataset, self._first = dataset, first

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def batch(self, sequences):
        while torch.distributed.get_rank() == 1 and max(sequences) >= self._first:
            time.sleep(0.1)
        return self._dataset.batch(sequences)


def main() -> None:
    config = load_config(sys.argv[1])
    dataset = config.data.open(config.run.seed)
    model = config.model.resolve(dataset.vocab_size)
    initialize_parallel(config, model)
    stuck = StuckDataset(dataset, 2 * config.batch.global_batch_size)  # in the third step
    Trainer(config, model, stuck, make_callbacks(config, None)).run()


if __name__ == "__main__":
    main()
